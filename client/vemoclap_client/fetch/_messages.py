"""Turns what yt-dlp says into this package's errors, each with what to do about it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from vemoclap_client import errors

GIVE_THE_FILE = "or download the video yourself and give the file"

COOKIES = (
    "Give the cookies of a browser in which you are signed in (--cookies FILE or "
    f"$VEMOCLAP_FETCH_COOKIES, in Netscape's format), {GIVE_THE_FILE}."
)

NEEDS_JAVASCRIPT = (
    "YouTube can only be read with the help of a JavaScript runtime, and none is installed. "
    f"Install Deno 2.3 or newer (pip install deno, or see https://deno.com), {GIVE_THE_FILE}."
)

NO_JAVASCRIPT = re.compile(r"No supported JavaScript runtime|challenge solving failed", re.I)
"""yt-dlp only warns of it; what then fails is something else."""

WITHOUT_FORMATS = r"format is not available|No video formats|HTTP Error 403"
"""What fails then."""

QUOTED_MAX = 300
"""Characters of yt-dlp's own words that are shown."""


@dataclass(frozen=True)
class KnownMessage:
    """What a message of yt-dlp means.

    Attributes:
        pattern: is looked for anywhere in the message, whatever its case.
        error: what is raised.
        meaning: what happened and what to do; {said} stands for yt-dlp's words.
    """

    pattern: str
    error: type[errors.FetchError]
    meaning: str


KNOWN_MESSAGES = (
    KnownMessage(
        r"not a bot|captcha|anti-bot|rate-limited|HTTP Error 429",
        errors.BotCheckError,
        f"the site wants to be shown that a person asks ({{said}}). {COOKIES}",
    ),
    KnownMessage(
        r"netscape format|invalid Netscape",
        errors.FetchError,
        "the file of cookies is not in Netscape's format. Export it again.",
    ),
    KnownMessage(
        r"DRM protected",
        errors.VideoUnavailableError,
        "the video is protected against copying (DRM), and cannot be read.",
    ),
    KnownMessage(
        r"live event|premieres in|not currently live|live stream|Live HLS",
        errors.VideoUnavailableError,
        "this is a live stream, or one that has not begun ({said}). Wait until it is a video.",
    ),
    KnownMessage(
        r"private video|video is private|registered users|log ?in|sign in|members|subscribers"
        r"|confirm your age|account|--cookies|HTTP Error 40[13]",
        errors.VideoUnavailableError,
        f"the site does not show this to everybody ({{said}}). {COOKIES}",
    ),
    KnownMessage(
        r"geo.?restrict|your country|your location|your region",
        errors.VideoUnavailableError,
        "the site does not show this video where this computer is ({said}). Give a file instead.",
    ),
    KnownMessage(
        r"format is not available",
        errors.NothingThereError,
        f"there are no pictures that can be downloaded. Choose another video, {GIVE_THE_FILE}.",
    ),
    KnownMessage(
        r"video unavailable|removed|terminated|no longer available|not available|is unavailable"
        r"|deleted",
        errors.VideoUnavailableError,
        "the site does not have this video, or not any more ({said}). Check the link.",
    ),
    KnownMessage(
        r"File too large",
        errors.TooLargeError,
        "there is more than is allowed.",
    ),
    KnownMessage(
        r"No space left|Disk quota",
        errors.FetchError,
        "there is no room for the download on this computer's disk. Make room, and try again.",
    ),
    KnownMessage(
        r"HTTP Error 4(04|10)",
        errors.NothingThereError,
        "there is no such page ({said}). Check the link.",
    ),
    KnownMessage(
        r"Name or service not known|nodename nor servname|getaddrinfo|No address associated"
        r"|Temporary failure in name resolution|Failed to resolve",
        errors.NothingThereError,
        "there is no computer of that name, or no connection to the network ({said}). "
        "Check the link.",
    ),
    KnownMessage(
        r"Unsupported URL|No video formats found|no media|not a valid URL|no video",
        errors.NothingThereError,
        "there is no video that could be found. Give the link of a video file or of a page that "
        "shows one video, or give a file.",
    ),
    KnownMessage(
        r"ffmpeg",
        errors.NothingThereError,
        f"the site's format of this video cannot be read ({{said}}). Choose another video, "
        f"{GIVE_THE_FILE}.",
    ),
    KnownMessage(
        r"redirect",
        errors.NothingThereError,
        "the link leads from one place to the next without end ({said}). Check it.",
    ),
    KnownMessage(
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        errors.TransferError,
        "the site cannot show that it is what it says ({said}). It was not asked further.",
    ),
    KnownMessage(
        r"timed out|timeout|Connection|connection|unreachable|bytes read|more expected"
        r"|Remote end closed|EOF occurred|HTTP Error 5\d\d|unable to download video data|SSL",
        errors.TransferError,
        f"the transfer failed ({{said}}). Try again, {GIVE_THE_FILE}.",
    ),
)
"""The first whose pattern is found counts."""

UNKNOWN_MESSAGE = KnownMessage(
    "", errors.FetchError, f"the download failed ({{said}}). Try again, {GIVE_THE_FILE}."
)

NOISE = (
    r"\x1b\[[0-9;]*[A-Za-z]",
    r";? *please report this issue on .*",
    r"[;.] *See +https://github\.com/yt-dlp.*",
    r"[.;]? *Use --[^ ]* .*",
    r" *\(caused by .*",
    r"^(ERROR: *)+",
    r"^\[[\w:+.-]+\] *([^\s:]+: )?",
    r"[\x00-\x1f\x7f]+",
)
"""Is cut out of what yt-dlp says: colours, its own options, and where to report its bugs."""


def without_user(url: str) -> str:
    """The URL without a user's name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def clean(message: str) -> str:
    """yt-dlp's words alone, without secrets, on one line and not endless."""
    for pattern in NOISE:
        message = re.sub(pattern, " " if "x00" in pattern else "", message, flags=re.I | re.S)
    message = re.sub(r"(\w://)[^/\s?#]*@", r"\1", message)
    message = " ".join(message.split()).rstrip(". ")
    return message if len(message) <= QUOTED_MAX else f"{message[:QUOTED_MAX]}..."


def to_error(url: str, message: str, warnings: Sequence[str] = ()) -> errors.FetchError:
    """The error for what yt-dlp said.

    Args:
        url: what was asked for, without secrets.
        message: of yt-dlp's exception.
        warnings: what it had warned of before.
    """
    said = clean(message)
    found = (known for known in KNOWN_MESSAGES if re.search(known.pattern, message, re.I))
    known = next(found, UNKNOWN_MESSAGE)
    if _lacks_javascript(message, warnings):
        return errors.JavaScriptNeededError(f"{url}: {NEEDS_JAVASCRIPT}")
    return known.error(f"{url}: {known.meaning.format(said=said)}")


def _lacks_javascript(message: str, warnings: Sequence[str]) -> bool:
    """Whether a video without usable formats is one that needed JavaScript."""
    is_without_formats = re.search(WITHOUT_FORMATS, message)
    return bool(is_without_formats) and any(NO_JAVASCRIPT.search(one) for one in warnings)
