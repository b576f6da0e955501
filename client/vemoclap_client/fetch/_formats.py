"""Chooses which of a video's formats to download: with sound, and no larger than needed."""

from collections.abc import Mapping, Sequence
from typing import Any

Format = Mapping[str, Any]
"""As yt-dlp describes a format."""

ENOUGH_LINES = 480
"""Frames are scaled to 360 lines anyway; what is above costs time only."""

PICTURES_NAME = "clip"
SOUND_NAME = "sound"
"""The files' names without suffix; there is one of sound where the site has it apart."""

PROTOCOLS = ("http", "https", "m3u8", "m3u8_native", "http_dash_segments")
"""Those that yt-dlp downloads by itself, over HTTP."""


def choose_formats(formats: Sequence[Format]) -> list[Format]:
    """The best format up to 480 lines that has pictures and sound, else the next above.

    Where pictures and sound come apart, one of each. A format without sound does where the video
    has none at all.

    Args:
        formats: from the worst to the best, as yt-dlp sorts them.

    Returns:
        One with pictures, and perhaps one with sound; none where there is nothing over HTTP.
    """
    usable = [one for one in formats if one.get("protocol") in PROTOCOLS]
    pictures = [one for one in usable if _has(one, "vcodec")]
    whole = [one for one in pictures if _has(one, "acodec")]
    if whole or not pictures:
        return _large_enough(whole)
    sounds = [one for one in usable if _has(one, "acodec")]
    return _large_enough(pictures) + sounds[-1:]


def _large_enough(formats: Sequence[Format]) -> list[Format]:
    enough = [one for one in formats if (one.get("height") or 0) <= ENOUGH_LINES]
    return enough[-1:] or sorted(formats, key=lambda one: int(one["height"]))[:1]


def _has(one: Format, codec: str) -> bool:
    """Whether a format has pictures (vcodec) or sound (acodec); what is not known may be there."""
    return one.get(codec) != "none"
