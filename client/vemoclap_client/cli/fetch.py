"""`vemoclap fetch`, and links in place of files in the other commands."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vemoclap_client.cli._output import Output
from vemoclap_client.errors import OutputError, VideoError
from vemoclap_client.fetch import Fetched, FetchLimits, FetchProgress, fetch, is_link
from vemoclap_client.fetch._messages import clean
from vemoclap_client.files import move_into, move_to, safe_name

BYTES_PER_MB = 1_000_000


@dataclass(frozen=True)
class Source:
    """A video to decode.

    Attributes:
        path: of the file, as it was given or downloaded.
        name: what to call it in results: the path, or the link without a user's name.
        stem: what to call files that are written about it.
    """

    path: str
    name: str
    stem: str


def shown_name(video: str) -> str:
    """A path, or a link without a user's name and password, for people."""
    return clean(video) if is_link(video) else video


@contextmanager
def open_source(
    video: str, options: argparse.Namespace, check_server: Callable[[], None]
) -> Iterator[Source]:
    """A file, or the download that a link leads to, which is removed after the block.

    Args:
        video: a path or a link.
        options: of `add_link_options`.
        check_server: raises if a download is of no use; is called before it.

    Raises:
        FetchError: a link cannot be downloaded.
        VideoError: of the block, with the link in place of the temporary file's name.
    """
    if not is_link(video):
        yield Source(video, video, Path(video).stem)
        return
    check_server()
    with _fetched(video, options) as fetched:
        path = str(fetched.path)
        try:
            yield Source(path, fetched.url, safe_name(fetched.title))
        except VideoError as error:
            raise type(error)(str(error).replace(path, fetched.url)) from error


def run(options: argparse.Namespace) -> int:
    """Downloads a video and prints its path."""
    out = Path(options.out_text)
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} exists already, and is not overwritten")
    # A new name without suffix is a folder's only where it ends as one.
    is_folder = out.is_dir() or options.out_text.endswith("/")
    folder = out if is_folder else out.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error}") from error
    options.output.task = shown_name(options.link)
    with _fetched(options.link, options, folder) as fetched:
        if is_folder:
            file = move_into(fetched.path, folder, fetched.title)
        else:
            file = move_to(fetched.path, out)
    options.output.write(f"{file}\n")
    return int(options.output.exit_code)


@contextmanager
def _fetched(
    link: str, options: argparse.Namespace, folder: Path | None = None
) -> Iterator[Fetched]:
    output: Output = options.output

    def show(progress: FetchProgress) -> None:
        received = f"{progress.bytes_received / BYTES_PER_MB:.1f}"
        expected = progress.bytes_expected
        of = f" of {expected / BYTES_PER_MB:.1f}" if expected else ""
        output.progress(f"downloaded {received}{of} MB")

    with fetch(link, link_limits(options), show, folder, cookies=options.cookies) as fetched:
        output.progress()
        yield fetched


def link_limits(options: argparse.Namespace) -> FetchLimits:
    """What the options of `add_link_options` allow."""
    return FetchLimits(
        size_bytes=round(options.max_mb * BYTES_PER_MB),
        duration_s=options.max_duration_s,
        timeout_s=options.fetch_timeout_s,
        allow_private=options.allow_private or FetchLimits().allow_private,
    )


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds what `fetch` takes."""
    command.set_defaults(run=run, check=lambda _: None)
    command.add_argument("link", metavar="URL", help="http or https")
    command.add_argument(
        "--out",
        default=".",
        dest="out_text",
        metavar="FILE-or-DIR",
        help="a new file, or a folder in which it is named after its title (this folder)",
    )
    command.add_argument("--quiet", action="store_true", help="no progress")
    add_link_options(command)


def add_link_options(command: argparse.ArgumentParser) -> None:
    """Adds the options of all commands that take links."""
    defaults = FetchLimits()
    links = command.add_argument_group("links")
    links.add_argument(
        "--allow-private",
        action="store_true",
        help="allow addresses that are private or this computer's ($VEMOCLAP_FETCH_PRIVATE=1)",
    )
    links.add_argument(
        "--cookies",
        type=Path,
        metavar="FILE",
        help="a browser's cookies in Netscape's format ($VEMOCLAP_FETCH_COOKIES)",
    )
    for name, default, what in (
        ("--max-mb", defaults.size_bytes / BYTES_PER_MB, "largest download in MB"),
        ("--max-duration-s", defaults.duration_s, "longest video"),
        ("--fetch-timeout-s", defaults.timeout_s, "longest time for the download"),
    ):
        links.add_argument(
            name, type=_positive, default=default, metavar="N", help=f"{what} (%(default)g)"
        )


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1e9:
        raise argparse.ArgumentTypeError(f"not a number above 0: {text}")
    return value
