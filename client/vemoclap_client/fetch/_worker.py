"""The process in which yt-dlp runs: `python -m vemoclap_client.fetch._worker`.

It reads a request, one line of JSON, and writes events, one line of JSON each:
{"progress": [bytes received, bytes expected or null]}, then {"title": ...} or
{"error": class or null, "text": ..., "warnings": [...]}. It ends when its standard input does,
which is when whoever started it ends.
"""

import io
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from vemoclap_client.fetch._formats import PICTURES_NAME, SOUND_NAME, Format, choose_formats
from vemoclap_client.fetch._guard import AddressRefused, Guard, TooManyBytes

MEMORY_BYTES = 1 << 30
"""A page that unpacks to more than this ends the process. Deno starts with a fraction of it."""

PAGES_BYTES = 64_000_000
"""What the pages and lists that lead to a video may add to its size."""

ABSENT = ("curl_cffi", "requests", "websockets")
"""Packages that yt-dlp is not to use, though they be installed: the connections of curl_cffi
cannot be watched, and one way to the network is easier to trust than four."""

SOCKET_TIMEOUT_S = 20
PROGRESS_INTERVAL_S = 0.2
WARNINGS_MAX = 20
LINKS_MAX = 5
"""How many pages may each name only the next."""

FIRST_ON_PAGE = " (1)"
"""yt-dlp numbers the videos that it finds on a page, even if there is one."""

PART = "vemoclap_part"
SOUND = "vemoclap_sound"
"""Our own fields of what yt-dlp knows of a video: a file's name; the format with its sound."""

LIVE = ("is_live", "is_upcoming", "post_live")

Request = dict[str, Any]
Info = dict[str, Any]


class Refused(BaseException):
    """Ends the download with an error of errors.py. Not an Exception: nothing is to retry."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error


class Channel:
    """Where the events go, and what yt-dlp logs."""

    def __init__(self) -> None:
        """Takes standard output for itself; what others print goes nowhere."""
        self._stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        self._warnings: list[str] = []
        self._last_progress = 0.0

    def send(self, **event: Any) -> None:
        """Sends an event."""
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()

    def fail(self, error: str | None, text: str) -> None:
        """Sends an error; None for one that yt-dlp found words for."""
        self.send(error=error, text=text, warnings=self._warnings)

    def progress(self, received: int, expected: float | None) -> None:
        """Sends progress, but not too often."""
        if time.monotonic() - self._last_progress >= PROGRESS_INTERVAL_S:
            self._last_progress = time.monotonic()
            self.send(progress=[received, int(expected) if expected else None])

    def debug(self, message: str) -> None:
        """yt-dlp's chatter is not kept."""

    def warning(self, message: str) -> None:
        """yt-dlp's warnings can explain an error that comes later."""
        if len(self._warnings) < WARNINGS_MAX:
            self._warnings.append(message)

    def error(self, message: str) -> None:
        """yt-dlp raises what it reports here."""


def main() -> None:
    """Serves one request."""
    request: Request = json.loads(sys.stdin.readline())
    channel = Channel()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _limit(request)
    guard = Guard(
        allow_private=request["allow_private"],
        networks=request["networks"],
        max_bytes=request["size_bytes"] + PAGES_BYTES,
    )
    guard.install()
    _serve(request, channel, guard)
    os._exit(0)  # Whatever yt-dlp would still like to do.


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    # Deno, too, if it is at work. The parent made this process the leader of a group.
    os.killpg(0, signal.SIGKILL)


def _limit(request: Request) -> None:
    # By the kernel, so that it works while Python is stuck in a regular expression.
    signal.setitimer(signal.ITIMER_REAL, request["timeout_s"])
    for kind, limit in (
        (resource.RLIMIT_FSIZE, request["size_bytes"] + 1),
        (resource.RLIMIT_DATA, MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # Where a lower limit is set already.
            resource.setrlimit(kind, (limit, limit))


def _serve(request: Request, channel: Channel, guard: Guard) -> None:
    try:
        title = _download(request, channel)
    except Refused as refused:
        channel.fail(refused.error, str(refused))
    except (TooManyBytes, MemoryError):
        channel.fail("TooLargeError", _too_large(request))
    except (AddressRefused, Exception) as error:
        if guard.refused is not None:
            channel.fail("AddressRefusedError", guard.refused)
        else:
            channel.fail(None, str(error) or type(error).__name__)
    else:
        channel.send(title=title)


def _download(request: Request, channel: Channel) -> str:
    """Downloads the video into the request's folder; returns its title."""
    for name in ABSENT:
        sys.modules[name] = None  # type: ignore[assignment]
    with import_module("yt_dlp").YoutubeDL(_options(request, channel)) as downloader:
        downloader.urlopen = _refuse_large(downloader.urlopen, request)
        info = _find(downloader, request["url"])
        _check(info, request)
        sound = info.pop(SOUND, None)
        downloader.process_info({**info, PART: PICTURES_NAME})
        if sound:
            downloader.process_info({**info, **sound, PART: SOUND_NAME})
        return _title(info)


def _refuse_large(urlopen: Callable[..., Any], request: Request) -> Callable[..., Any]:
    """Refuses what is said to be too large before it comes."""

    def checked(*arguments: Any, **options: Any) -> Any:
        response = urlopen(*arguments, **options)
        length = response.headers.get("Content-Length") or ""
        if length.isdecimal() and int(length) > request["size_bytes"]:
            raise Refused("TooLargeError", _too_large(request))
        return response

    return checked


def _options(request: Request, channel: Channel) -> dict[str, Any]:
    before = 0  # Of the file with the pictures, while the one with the sound comes.

    def on_progress(status: Info) -> None:
        nonlocal before
        received = before + (status.get("downloaded_bytes") or 0)
        if received > request["size_bytes"]:
            raise Refused("TooLargeError", _too_large(request))
        expected = status.get("total_bytes") or status.get("total_bytes_estimate")
        channel.progress(received, expected and before + expected)
        if status.get("status") == "finished":
            before = received

    return {
        "cachedir": False,
        "color": "never",
        "cookiefile": io.StringIO(request["cookies"]) if request["cookies"] else None,
        "extract_flat": "in_playlist",
        "extractor_retries": 1,
        "ffmpeg_location": os.devnull,
        "fixup": "never",
        "format": _select,
        "fragment_retries": 3,
        "hls_prefer_native": True,
        "js_runtimes": {"deno": {}},
        "logger": channel,
        "noplaylist": True,
        "outtmpl": str(Path(request["folder"]) / f"%({PART})s.%(ext)s"),
        "playlist_items": "1:2",  # Enough to know whether it is more than one.
        "progress_hooks": [on_progress],
        "proxy": "",  # A proxy would connect for us, where nobody can watch.
        "quiet": True,
        "retries": 2,
        "socket_timeout": min(SOCKET_TIMEOUT_S, request["timeout_s"]),
        "updatetime": False,
    }


def _select(context: dict[str, Any]) -> Iterator[Format]:
    """The format with the pictures; one that has their sound goes along with it."""
    chosen = choose_formats(context["formats"])
    if chosen:  # Else yt-dlp says so.
        yield {**chosen[0], SOUND: chosen[1] if len(chosen) > 1 else None}


def _find(downloader: Any, url: str) -> Info:
    """The one video that the link leads to, not downloaded yet."""
    info: Info = downloader.extract_info(url, download=False)
    for _ in range(LINKS_MAX):
        if info.get("_type", "video") == "video":
            return info
        if "entries" in info:
            info = _only(list(info["entries"]))
        info = downloader.process_ie_result(info, download=False)
    raise Refused("NothingThereError", "the page leads from one link to the next")


def _only(entries: list[Info | None]) -> Info:
    """The one video of what yt-dlp takes for a list."""
    found = [entry for entry in entries if entry]
    if not found:
        raise Refused("NothingThereError", "there is no video on this page")
    if len(found) > 1:
        raise Refused(
            "NothingThereError", "this leads to several videos. Give the link of one of them"
        )
    return found[0]


def _title(info: Info) -> str:
    title = str(info.get("title") or "")
    return title if info.get("direct") else title.removesuffix(FIRST_ON_PAGE)


def _check(info: Info, request: Request) -> None:
    """Refuses what is known to be wrong before the download."""
    if info.get("is_live") or info.get("live_status") in LIVE:
        raise Refused("VideoUnavailableError", "this is a live stream, which has no end yet")
    duration_s = info.get("duration") or 0
    if duration_s > request["duration_s"]:
        raise Refused(
            "TooLongError",
            f"the video is {duration_s:g} s long, but {request['duration_s']:g} s are allowed",
        )
    if (info.get("filesize") or 0) > request["size_bytes"]:
        raise Refused("TooLargeError", _too_large(request))


def _too_large(request: Request) -> str:
    return f"there is more than the {request['size_bytes'] / 1e6:g} MB that are allowed"


if __name__ == "__main__":
    main()
