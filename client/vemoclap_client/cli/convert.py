"""`vemoclap convert`."""

import argparse
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from vemoclap_client.assembling import timeline_of
from vemoclap_client.cli._timeline_files import (
    add_file_options,
    asked_files,
    check_file_options,
    check_files,
    write_files,
)
from vemoclap_client.documents import parse_json
from vemoclap_client.errors import DocumentError
from vemoclap_client.result import EmotionResult
from vemoclap_client.timeline import Timeline


class _Kind(msgspec.Struct):
    windows: Any = None


def check(options: argparse.Namespace) -> None:
    """Returns if the options fit together.

    Raises:
        ValueError: they do not.
    """
    if not asked_files(options):
        raise ValueError("name the file to write, such as --csv FILE")
    check_file_options(options)


def run(options: argparse.Namespace) -> int:
    """Reads the document, and writes the files."""
    files = asked_files(options)
    check_files(files)
    timeline = _read(options.document)
    if options.video is not None:
        timeline = replace(timeline, video=options.video)
    write_files(timeline, files, options.fps, options.output)
    return int(options.output.exit_code)


def _read(path: Path) -> Timeline:
    """A timeline, or a result as a timeline of one window.

    Raises:
        DocumentError: it is neither, or cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error}") from error
    if parse_json(data, _Kind, str(path)).windows is not None:
        timeline = parse_json(data, Timeline, str(path))
        if not timeline.windows:
            raise DocumentError(f"{path}: the timeline has no windows, so nothing can be written")
        return timeline
    result = parse_json(data, EmotionResult, str(path))
    return timeline_of(result, result.duration_s, result.duration_s)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds what `convert` takes."""
    command.set_defaults(run=run, check=check)
    command.add_argument(
        "document",
        type=Path,
        metavar="FILE",
        help="a result or a timeline as JSON, as classify --json and timeline --json write it",
    )
    command.add_argument(
        "--video",
        metavar="NAME",
        help="the clip's name, path or link in what is written, in place of the document's own",
    )
    add_file_options(command)
    command.add_argument(
        "--quiet", action="store_true", help="print nothing but errors and what is written to -"
    )
