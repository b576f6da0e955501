"""Chooses which of a video's formats to download: one file with sound, no larger than needed."""

from collections.abc import Mapping, Sequence
from typing import Any

Format = Mapping[str, Any]
"""As yt-dlp describes a format."""

ENOUGH_LINES = 480
"""Frames are scaled to 360 lines anyway; what is above costs time only."""

PROTOCOLS = ("http", "https", "m3u8", "m3u8_native", "http_dash_segments")
"""Those that yt-dlp downloads by itself, over HTTP."""


def choose_format(formats: Sequence[Format]) -> Format | None:
    """The best format up to 480 lines that has pictures and sound, else the next above.

    A format without sound does where the video has none at all.

    Args:
        formats: from the worst to the best, as yt-dlp sorts them.

    Returns:
        None where pictures and sound come in separate files alone, or not over HTTP.
    """
    usable = [one for one in formats if one.get("protocol") in PROTOCOLS and _has(one, "vcodec")]
    whole = [one for one in usable if _has(one, "acodec")]
    if not whole and any(_has(one, "acodec") for one in formats if not _has(one, "vcodec")):
        return None
    candidates = whole or usable
    enough = [one for one in candidates if (one.get("height") or 0) <= ENOUGH_LINES]
    if enough:
        return enough[-1]
    return min(candidates, key=lambda one: int(one["height"]), default=None)


def _has(one: Format, codec: str) -> bool:
    """Whether a format has pictures (vcodec) or sound (acodec); what is not known may be there."""
    return one.get(codec) != "none"
