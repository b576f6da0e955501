"""The command `vemoclap`."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from vemoclap_client import __version__
from vemoclap_client.cli import fetch as fetch_command
from vemoclap_client.cli._output import Output
from vemoclap_client.cli.fetch import open_source
from vemoclap_client.cli.render import render_result, render_summary, render_window
from vemoclap_client.client import DEFAULT_TIMEOUT_S, EmotionClient, default_url
from vemoclap_client.errors import FetchError, VemoclapError, VideoError
from vemoclap_client.fetch import is_link
from vemoclap_client.files import check_writable, numbered, write_text
from vemoclap_client.formats.document import format_json
from vemoclap_client.formats.subtitles import format_srt, format_vtt
from vemoclap_client.formats.table import format_csv
from vemoclap_client.media.windows import check_lengths
from vemoclap_client.timeline import DEFAULT_HOP_S, DEFAULT_WINDOW_S, Timeline, Window

STANDARD_OUTPUT = Path("-")
LONGEST_TIMEOUT_S = 86_400

ANY_NAME = "result.json"
"""Stands for a link's file, whose name is not known before the download."""

INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended: 128 + SIGINT."""

TIMELINE_FORMATS: dict[str, Callable[[Timeline], str]] = {
    "json": format_json,
    "csv": format_csv,
    "srt": format_srt,
    "vtt": format_vtt,
}
"""Option -> the text of its file."""

EXIT_CODES = """\
exit codes: 0 all went well; 2 wrong usage; 3 a result cannot be written,
4 a document of another release;
1x a video: 11 not found, 12 empty, 13 not a video, 14 sound only, 15 not decodable, 16 encrypted,
17 no such sound track;
2x the server: 21 not there, 22 not ready, 23 lost during the request, 24 overloaded,
25 too slow, 26 refused the request, 27 a model failed;
3x a link: 30 failed, 31 yt-dlp not installed, 32 not http(s), 33 address refused, 34 no video
there, 35 too large or too long, 36 needs a JavaScript runtime, 37 asks for a person,
38 unavailable (private, removed, live), 39 network failed or too slow; 130 interrupted (Ctrl-C)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    # A file's name may hold bytes that the terminal's encoding does not know.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    options = parser.parse_args(arguments)
    options.output = Output(quiet=getattr(options, "quiet", False))
    _check_options(parser, options)
    try:
        return int(options.run(options))
    except VemoclapError as error:
        print(f"vemoclap: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def _check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.run is _classify and options.json and len(options.videos) > 1:
        parser.error("--json takes one video; for several use --json-dir")
    if options.run is _timeline:
        try:
            check_lengths(options.window_s, options.hop_s)
        except ValueError as error:
            parser.error(f"--window-s, --hop-s: {error}")


def _classify(options: argparse.Namespace) -> int:
    """Classifies every video; a video that fails does not stop the next, a server does."""
    targets = _targets(options)
    exit_code = 0
    with EmotionClient(options.url, timeout_s=options.timeout_s) as client:
        for video in targets:
            try:
                with open_source(video, options, client.check_ready) as source:
                    result = replace(
                        client.classify(
                            source.path,
                            attention=options.attention,
                            audio_track=options.audio_track,
                        ),
                        video=source.name,
                    )
            except (VideoError, FetchError) as error:
                print(f"vemoclap: {error}", file=sys.stderr)
                exit_code = error.exit_code
                continue
            if options.json_dir and is_link(video):
                targets[video].append(_free_target(options.json_dir, source.stem, targets))
            for file in targets[video]:
                write_text(file, format_json(result))
            if options.json == STANDARD_OUTPUT:
                options.output.write(format_json(result))
            else:
                options.output.show(f"{render_result(result)}\n")
            if options.output.exit_code and not options.json_dir:
                break
    return options.output.exit_code or exit_code


def _targets(options: argparse.Namespace) -> dict[str, list[Path]]:
    """Video -> the JSON files to write, all of which can be written.

    A link's file in --json-dir is not among them: its title is not known yet.

    Raises:
        OutputError: a folder cannot be made or written to, or two videos would share a file.
    """
    targets: dict[str, list[Path]] = {video: [] for video in options.videos}
    if options.json and options.json != STANDARD_OUTPUT:
        targets[options.videos[0]].append(options.json)
    if options.json_dir:
        for video in targets:
            if not is_link(video):
                targets[video].append(options.json_dir / f"{Path(video).stem}.json")
        check_writable([options.json_dir / ANY_NAME])
    check_writable(file for written in targets.values() for file in written)
    return targets


def _free_target(folder: Path, stem: str, targets: dict[str, list[Path]]) -> Path:
    """The file for a link of this title: with a number if another video of this run has it."""
    taken = [file for files in targets.values() for file in files]
    names = (folder / f"{name}.json" for name in numbered(stem))
    return next(file for file in names if file not in taken)


def _timeline(options: argparse.Namespace) -> int:
    """Prints each window as it comes; writes the files once all are known."""
    asked = {name: getattr(options, name) for name in TIMELINE_FORMATS}
    files = {name: file for name, file in asked.items() if file}
    check_writable(file for file in files.values() if file != STANDARD_OUTPUT)
    is_for_people = STANDARD_OUTPUT not in files.values()
    started = time.perf_counter()

    def show(window: Window, _: int) -> None:
        if is_for_people:
            options.output.show(render_window(window))

    with EmotionClient(options.url, timeout_s=options.timeout_s) as client:
        with open_source(options.video, options, client.check_ready) as source:
            timeline = client.timeline(
                source.path,
                options.window_s,
                options.hop_s,
                on_window=show,
                audio_track=options.audio_track,
            )
        timeline = replace(timeline, video=source.name)
    for name, file in files.items():
        text = TIMELINE_FORMATS[name](timeline)
        if file == STANDARD_OUTPUT:
            options.output.write(text)
        else:
            write_text(file, text)
    if is_for_people:
        seconds = time.perf_counter() - started
        options.output.show(f"{render_summary(timeline)}\n  took {seconds:.1f} s")
    return int(options.output.exit_code)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= LONGEST_TIMEOUT_S:
        raise argparse.ArgumentTypeError(f"not between 0 and {LONGEST_TIMEOUT_S} seconds: {text}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vemoclap", description="Which emotion a video conveys, and why."
    )
    parser.add_argument("--version", action="version", version=f"vemoclap {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    layout: dict[str, Any] = {
        "epilog": EXIT_CODES,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }
    classify = commands.add_parser(
        "classify",
        help="classify videos",
        description="Decodes videos here and has a running server name their emotions.",
        **layout,
    )
    _add_classify(classify)
    timeline = commands.add_parser(
        "timeline",
        help="classify a video over time",
        description="Has a running server name the emotions of overlapping windows of a video.",
        **layout,
    )
    _add_timeline(timeline)
    fetch = commands.add_parser(
        "fetch",
        help="download the video that a link leads to",
        description="Downloads one video from a link to a file, or to a page of a site such as "
        "YouTube. Nothing is overwritten.",
        **layout,
    )
    fetch_command.add_arguments(fetch)
    return parser


def _add_classify(classify: argparse.ArgumentParser) -> None:
    classify.set_defaults(run=_classify)
    classify.add_argument("videos", nargs="+", metavar="VIDEO", help="a video file or a link")
    classify.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="also write the result there; - for standard output, in place of the text",
    )
    classify.add_argument(
        "--json-dir", type=Path, metavar="DIR", help="also write DIR/<video>.json for each video"
    )
    classify.add_argument(
        "--attention", action="store_true", help="also show which moments the head attended to"
    )
    _add_server(classify)
    fetch_command.add_options(classify)


def _add_timeline(timeline: argparse.ArgumentParser) -> None:
    timeline.set_defaults(run=_timeline)
    timeline.add_argument("video", metavar="VIDEO", help="a video file or a link")
    timeline.add_argument(
        "--window-s", type=float, default=DEFAULT_WINDOW_S, help="length (%(default)g)"
    )
    timeline.add_argument(
        "--hop-s", type=float, default=DEFAULT_HOP_S, help="from start to start (%(default)g)"
    )
    for name in TIMELINE_FORMATS:
        timeline.add_argument(
            f"--{name}", type=Path, metavar="FILE", help=f"also write it as {name.upper()}"
        )
    _add_server(timeline)
    fetch_command.add_options(timeline)


def _add_server(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--url", default=default_url(), help="gRPC address, host:port ($VEMOCLAP_URL; %(default)s)"
    )
    command.add_argument(
        "--audio-track",
        type=int,
        metavar="N",
        help="the video's N-th sound track, from 1, in place of the main one",
    )
    command.add_argument(
        "--quiet", action="store_true", help="no text on standard output; errors are still printed"
    )
    command.add_argument(
        "--timeout-s", type=_seconds, default=DEFAULT_TIMEOUT_S, help="longest wait (%(default)g)"
    )


if __name__ == "__main__":
    sys.exit(main())
