"""Downloads the video that a link leads to: a file, or a page of a site that yt-dlp knows."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from urllib.parse import urlsplit

from vemoclap_client import errors
from vemoclap_client.errors import (
    AddressRefusedError,
    BadLinkError,
    FetchError,
    FetchingNotInstalledError,
    TransferError,
)
from vemoclap_client.fetch._checks import check_video, join
from vemoclap_client.fetch._folder import temporary_folder
from vemoclap_client.fetch._formats import PICTURES_NAME, SOUND_NAME
from vemoclap_client.fetch._messages import clean, to_error, without_user
from vemoclap_client.limited.decoder import LimitedDecoder

WORKER = "vemoclap_client.fetch._worker"

TICK_S = 0.25
"""Longest time between two calls of on_progress."""

SMUGGLED = "__youtubedl_smuggle"
"""Marks what yt-dlp's parts tell each other in a URL; nothing that comes from outside."""

SHOWN_MAX = 200
"""Characters shown of what is no link."""

SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")
DEFAULT_SUFFIX = ".mp4"

KEPT = (
    *("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "DENO_DIR", "LD_LIBRARY_PATH", "TZ"),
    *("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
"""The variables that the process that downloads gets. It reads what strangers wrote: no secrets."""

Request = dict[str, Any]


def _is_private_allowed() -> bool:
    return os.environ.get("VEMOCLAP_FETCH_PRIVATE") == "1"


@dataclass(frozen=True)
class FetchLimits:
    """What a download may cost and reach.

    Attributes:
        size_bytes: largest download.
        duration_s: longest video.
        timeout_s: longest time that it all may take.
        allow_private: whether private and local addresses may be asked, too
            ($VEMOCLAP_FETCH_PRIVATE is 1).
        networks: private networks that may be asked nevertheless, such as "10.1.0.0/16".
    """

    size_bytes: int = 2_000_000_000
    duration_s: float = 3600.0
    timeout_s: float = 900.0
    allow_private: bool = field(default_factory=_is_private_allowed)
    networks: tuple[str, ...] = ()


@dataclass(frozen=True)
class FetchProgress:
    """How far a download is; `bytes_expected` may be an estimate, and is None where unknown."""

    bytes_received: int
    bytes_expected: int | None


OnProgress = Callable[[FetchProgress], None]
"""Is called every half second at least; what it raises ends the download."""


@dataclass(frozen=True)
class Fetched:
    """A downloaded video.

    Attributes:
        path: the file. It is removed after the `with` block, unless it was moved away.
        title: as the site gives it; the file's name for a link to a file. Not safe as a path.
        url: the link without a user's name and password.
    """

    path: Path
    title: str
    url: str


def is_link(text: str) -> bool:
    """Whether it is meant as a URL rather than as the path of a file."""
    return "://" in text


@contextmanager
def fetch(
    url: str,
    limits: FetchLimits | None = None,
    on_progress: OnProgress | None = None,
    folder: Path | None = None,
    *,
    cookies: Path | None = None,
    decoder: LimitedDecoder | None = None,
) -> Iterator[Fetched]:
    """The video that a link leads to, as a file that is there as long as the block lasts.

    Args:
        url: http or https.
        limits: what it may cost and reach.
        on_progress: is called every half second at least; what it raises ends the download.
        folder: where to make the temporary folder; the system's place for such by default.
        cookies: a file in Netscape's format; by default $VEMOCLAP_FETCH_COOKIES, else none.
        decoder: looks at what was downloaded; by default one for this file.

    Raises:
        FetchError: it cannot be downloaded; its kind says why.
        OutputError: there is no room for it in the folder.
    """
    limits = limits or FetchLimits()
    shown = check_link(url)
    _check_installed()
    request = {**asdict(limits), "url": url, "cookies": _read_cookies(cookies)}
    with temporary_folder(folder) as temporary:
        request["folder"] = str(temporary)
        title = _download(request, shown, temporary, on_progress or (lambda _: None))
        with nullcontext(decoder) if decoder else LimitedDecoder() as looking:
            path = _find_file(temporary, shown, looking)
            check_video(looking, path, shown, limits.duration_s)
        yield Fetched(path, title or path.stem, shown)


def check_link(url: str) -> str:
    """The link without a user's name and password.

    Raises:
        BadLinkError: it is no http or https URL with a host.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # Raises where it is no number.
    except ValueError:
        is_usable = False
    is_plain = not any(character.isspace() or not character.isprintable() for character in url)
    if not is_usable or not is_plain or SMUGGLED in url:
        shown = clean(url)[:SHOWN_MAX]
        raise BadLinkError(f"{shown!r} is not a link that can be used: give an http or https URL.")
    return without_user(url)


def _check_installed() -> None:
    if find_spec("yt_dlp") is None:
        raise FetchingNotInstalledError(
            "links are downloaded with yt-dlp, which is not installed. "
            "Install it: pip install './client[fetch]'"
        )


def _read_cookies(file: Path | None) -> str | None:
    named = file or os.environ.get("VEMOCLAP_FETCH_COOKIES")
    if not named:
        return None
    try:
        return Path(named).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise FetchError(f"the file of cookies, {named}, cannot be read: {error}") from error


def _download(request: Request, url: str, folder: Path, on_progress: OnProgress) -> str:
    """Has the worker download into the folder; returns the title."""
    with _worker(request, folder) as lines:
        deadline = time.monotonic() + request["timeout_s"]
        progress = FetchProgress(0, None)
        while True:
            on_progress(progress)
            event = _next_event(lines)
            if time.monotonic() > deadline:
                raise TransferError(
                    f"{url}: the download took longer than the {request['timeout_s']:g} s that "
                    "are allowed. Try again, or download the video yourself and give the file."
                )
            if "progress" in event:
                progress = FetchProgress(*event["progress"])
            elif "error" in event:
                raise _error(url, event)
            elif "title" in event:
                return str(event["title"])


def _next_event(lines: "Queue[str]") -> dict[str, Any]:
    """The worker's next event; {} where there is none for a while."""
    try:
        line = lines.get(timeout=TICK_S)
    except Empty:
        return {}
    if not line:
        return {"error": None, "text": "the process that downloads ended", "warnings": []}
    event: dict[str, Any] = json.loads(line)
    return event


def _error(url: str, event: dict[str, Any]) -> FetchError:
    if event["error"] is None:
        return to_error(url, event["text"], event["warnings"])
    if event["error"] == AddressRefusedError.__name__:
        return AddressRefusedError(
            f"{url}: this leads to {event['text']}, which is not a public address. If you trust "
            "the link, allow private addresses: --allow-private, or VEMOCLAP_FETCH_PRIVATE=1."
        )
    kind: type[FetchError] = getattr(errors, event["error"])
    return kind(f"{url}: {event['text']}.")


@contextmanager
def _worker(request: Request, folder: Path) -> Iterator["Queue[str]"]:
    """The lines that a worker writes on this request; "" is the last. It ends with the block."""
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=_environment(),
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C comes here alone; and Deno can be ended with it.
    )
    lines: Queue[str] = Queue()
    reader = threading.Thread(target=_read, args=(worker, lines), daemon=True)
    reader.start()
    try:
        _send(worker, json.dumps(request) + "\n")
        yield lines
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        reader.join()
        _close(worker)


def _send(worker: "subprocess.Popen[str]", line: str) -> None:
    assert worker.stdin is not None
    with suppress(BrokenPipeError):  # It ended at once: the reader finds out.
        worker.stdin.write(line)
        worker.stdin.flush()


def _read(worker: "subprocess.Popen[str]", lines: "Queue[str]") -> None:
    assert worker.stdout is not None
    for line in worker.stdout:
        lines.put(line)
    lines.put("")


def _close(worker: "subprocess.Popen[str]") -> None:
    for stream in (worker.stdin, worker.stdout):
        with suppress(BrokenPipeError):
            if stream is not None:
                stream.close()


def _environment() -> dict[str, str]:
    """KEPT of this process's, and where to import from; no proxies."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    places = os.pathsep.join(str(Path(place or ".").resolve()) for place in sys.path)
    return {**kept, "PYTHONPATH": places, "YTDLP_NO_PLUGINS": "1"}


def _find_file(folder: Path, url: str, decoder: LimitedDecoder) -> Path:
    """The downloaded file, of both parts where there are two."""
    parts = {file.stem: file for file in folder.iterdir() if file.stat().st_size}
    pictures, sound = parts.get(PICTURES_NAME), parts.get(SOUND_NAME)
    if pictures is None:
        raise TransferError(f"{url}: nothing was received. Try again.")
    if sound is not None:
        return join(decoder, pictures, sound, folder / "joined.mkv", url)
    suffix = pictures.suffix if SUFFIX.fullmatch(pictures.suffix) else DEFAULT_SUFFIX
    return pictures.rename(folder / f"{PICTURES_NAME}{suffix}")
