"""The command `vemoclap`."""

import argparse
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

from vemoclap_client import __version__
from vemoclap_client.cli import batch, classify, convert, fetch, timeline
from vemoclap_client.cli._completion import SHELLS, PrintCompletion
from vemoclap_client.cli._output import Output
from vemoclap_client.errors import VemoclapError
from vemoclap_client.tracing import set_up_traces

INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended: 128 + SIGINT."""

COMMANDS = (
    (
        "classify",
        classify,
        "classify videos",
        "Decodes videos here and has a running server name their emotions.",
    ),
    (
        "timeline",
        timeline,
        "classify a video over time",
        "Has a running server name the emotions of overlapping windows of a video.",
    ),
    (
        "convert",
        convert,
        "write a result or a timeline in other formats",
        "Reads the JSON of a result or a timeline and writes it in other formats, such as those of "
        "ELAN, Praat and Label Studio. Needs no server.",
    ),
    (
        "batch",
        batch,
        "classify many videos into Parquet files",
        "Classifies many videos, on one machine or a cluster of Ray, into a folder of Parquet "
        "files. Killed at any moment, the same command goes on, and no clip is missing or double.",
    ),
    (
        "fetch",
        fetch,
        "download the video that a link leads to",
        "Downloads one video from a link to a file, or to a page of a site such as YouTube. "
        "Nothing is overwritten.",
    ),
)
"""Name, module, and what its help says in short and in full."""

EXIT_CODES = """\
exit codes: 0 all went well; 2 wrong usage; 3 a result cannot be written,
4 a document that cannot be read, 5 what writes a format is not installed;
1x a video: 11 not found, 12 empty, 13 not a video, 14 sound only, 15 not decodable, 16 encrypted,
17 no such sound track, 18 needs more time or memory than allowed;
2x the server: 21 not there, 22 not ready, 23 lost during the request, 24 overloaded,
25 too slow, 26 refused the request, 27 a model failed, 28 no access (token),
29 no encrypted connection (certificates);
3x a link: 30 failed, 31 yt-dlp not installed, 32 not http(s), 33 address refused, 34 no video
there, 35 too large or too long, 36 needs a JavaScript runtime, 37 asks for a person,
38 unavailable (private, removed, live), 39 network failed or too slow;
4x a batch: 40 Ray failed, 41 Ray not installed, 42 no such input, 43 the folder has other rows or
is in use, 44 (of one clip) its processes were killed;
130 interrupted (Ctrl-C), 141 standard output was closed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    # A file's name may hold bytes that the terminal's encoding does not know.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        options.check(options)
    except ValueError as error:
        parser.error(str(error))
    options.output = Output(options.quiet)
    if not set_up_traces("vemoclap"):
        options.output.note("no traces are sent: pip install './client[traces]'")
    try:
        return int(options.run(options))
    except VemoclapError as error:
        options.output.say(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        options.output.erase_progress()


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line, with all commands."""
    layout: dict[str, Any] = {
        "epilog": EXIT_CODES,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        # A prefix of an option is not taken for it: --token TEXT would show a token.
        "allow_abbrev": False,
    }
    parser = argparse.ArgumentParser(
        prog="vemoclap", description="Which emotion a video conveys, and why.", **layout
    )
    parser.add_argument("--version", action="version", version=f"vemoclap {__version__}")
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=SHELLS,
        help="print a script that completes this command, for %(choices)s",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, summary, description in COMMANDS:
        command.add_arguments(
            commands.add_parser(name, help=summary, description=description, **layout)
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
