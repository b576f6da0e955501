"""The files that `timeline` and `convert` write."""

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

from vemoclap_client.cli._output import STANDARD_OUTPUT, Output
from vemoclap_client.files import check_writable, write, write_text
from vemoclap_client.formats.writing import FORMATS, check_installed
from vemoclap_client.spreading import FPS_MAX, check_fps
from vemoclap_client.timeline import Timeline


def add_file_options(command: argparse.ArgumentParser) -> None:
    """Adds an option for each format, and --fps."""
    for name, kind in FORMATS.items():
        where = "" if name.endswith("parquet") else "; - for standard output, in place of the text"
        command.add_argument(
            f"--{name}", type=Path, metavar="FILE", help=f"also write {kind.what}{where}"
        )
    command.add_argument(
        "--fps",
        type=float,
        metavar="N",
        help=f"rows a second in --csv and --parquet, at most {FPS_MAX:g}, in place of one per "
        "window; each is the mean of the windows that overlap it",
    )


def asked_files(options: argparse.Namespace) -> dict[str, Path]:
    """Format -> the file to write."""
    asked = {name: getattr(options, name.replace("-", "_")) for name in FORMATS}
    return {name: file for name, file in asked.items() if file}


def check_file_options(options: argparse.Namespace) -> None:
    """Returns if the options fit together.

    Raises:
        ValueError: they do not.
    """
    files = asked_files(options)
    try:
        check_fps(options.fps)
    except ValueError as error:
        raise ValueError(f"--fps: {error}") from error
    if options.fps is not None and not files.keys() & {"csv", "parquet"}:
        raise ValueError("--fps is for --csv and --parquet: name one of them")
    if STANDARD_OUTPUT in (file for name, file in files.items() if name.endswith("parquet")):
        raise ValueError("a Parquet file cannot be written to standard output: name a file")
    if list(files.values()).count(STANDARD_OUTPUT) > 1:
        raise ValueError("only one file can be written to standard output: name the others")


def check_files(files: Mapping[str, Path]) -> None:
    """Returns if the files can be written.

    Raises:
        FormatNotInstalledError: what writes one is not installed.
        OutputError: one cannot be written there.
    """
    check_installed(files)
    check_writable(file for file in files.values() if file != STANDARD_OUTPUT)


def write_files(
    timeline: Timeline, files: Mapping[str, Path], fps: float | None, output: Output
) -> None:
    """Writes the files once the contents of all are known.

    Raises:
        OutputError: one cannot be written, or has too many rows.
    """
    contents = {name: FORMATS[name].make(timeline, fps) for name in files}
    for name, file in files.items():
        content = contents[name]
        if isinstance(content, bytes):
            write(file, partial(_fill, content))
        elif file == STANDARD_OUTPUT:
            output.write(content)
        else:
            write_text(file, content)


def _fill(content: bytes, file: BinaryIO) -> None:
    file.write(content)
