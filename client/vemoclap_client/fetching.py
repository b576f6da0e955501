"""Downloads the video that a link leads to: a file, or a page of a site that yt-dlp knows."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


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
    """How far a download is; `bytes_expected` is None where nobody knows, and may be a guess."""

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
) -> Iterator[Fetched]:
    """The video that a link leads to, as a file that is there as long as the block lasts.

    Args:
        url: http or https.
        limits: what it may cost and reach.
        on_progress: is called every half second at least; what it raises ends the download.
        folder: where to make the temporary folder; the system's place for such by default.
        cookies: a file in Netscape's format, for sites that want to know who asks; by default
            $VEMOCLAP_FETCH_COOKIES, else none.

    Raises:
        FetchError: it cannot be downloaded; its kind says why.
    """
    raise NotImplementedError
    yield
