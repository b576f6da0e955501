"""Client of VEMOCLAP on Triton: which emotion a video conveys, and why.

The names below load on first use, so that the server's processes, which need only
`vemoclap_client.contract`, do not pay for video decoding and gRPC.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vemoclap_client.async_client import AsyncEmotionClient
    from vemoclap_client.client import EmotionClient
    from vemoclap_client.credentials import Credentials
    from vemoclap_client.errors import ServerError, VemoclapError, VideoError
    from vemoclap_client.media.video import Decoded, DecodedClip, decode
    from vemoclap_client.requests import FrameFormat
    from vemoclap_client.result import EmotionResult
    from vemoclap_client.stream import Evidence
    from vemoclap_client.timeline import Timeline, Window

__version__ = "0.1.0"

_HOMES = {
    "AsyncEmotionClient": "async_client",
    "Credentials": "credentials",
    "Decoded": "media.video",
    "DecodedClip": "media.video",
    "EmotionClient": "client",
    "EmotionResult": "result",
    "Evidence": "stream",
    "FrameFormat": "requests",
    "ServerError": "errors",
    "Timeline": "timeline",
    "VemoclapError": "errors",
    "VideoError": "errors",
    "Window": "timeline",
    "decode": "media.video",
}

__all__ = [
    "AsyncEmotionClient",
    "Credentials",
    "Decoded",
    "DecodedClip",
    "EmotionClient",
    "EmotionResult",
    "Evidence",
    "FrameFormat",
    "ServerError",
    "Timeline",
    "VemoclapError",
    "VideoError",
    "Window",
    "decode",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
