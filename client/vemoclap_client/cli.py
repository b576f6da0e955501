"""The command `vemoclap`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from vemoclap_client.client import DEFAULT_TIMEOUT_S, EmotionClient, default_url
from vemoclap_client.errors import OutputError, VemoclapError, VideoError
from vemoclap_client.printing import format_result
from vemoclap_client.results import EmotionResult

LONGEST_TIMEOUT_S = 86_400

EXIT_CODES = """\
exit codes: 0 all went well; 2 wrong usage; 3 a result cannot be written;
1x a video: 11 not found, 12 empty, 13 not a video, 14 sound only, 15 not decodable;
2x the server: 21 not there, 22 not ready, 23 lost during the request, 24 overloaded,
25 too slow, 26 refused the request, 27 a model failed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    # A file's name may hold bytes that the terminal's encoding does not know.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.json and len(options.videos) > 1:
        parser.error("--json takes one video; for several use --json-dir")
    try:
        return _classify(options, _targets(options))
    except VemoclapError as error:
        print(f"vemoclap: {error}", file=sys.stderr)
        return error.exit_code


def _targets(options: argparse.Namespace) -> dict[str, list[Path]]:
    """Video -> the JSON files to write, all of which can be written.

    Raises:
        OutputError: a folder cannot be made or written to, or two videos would share a file.
    """
    targets: dict[str, list[Path]] = {video: [] for video in options.videos}
    if options.json:
        targets[options.videos[0]].append(options.json)
    if options.json_dir:
        for video in targets:
            targets[video].append(options.json_dir / f"{Path(video).stem}.json")
    files = [file for written in targets.values() for file in written]
    shared = sorted({str(file) for file in files if files.count(file) > 1})
    if shared:
        raise OutputError(f"two videos would both be written to {', '.join(shared)}. Rename one.")
    for file in files:
        _check_writable(file)
    return targets


def _check_writable(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder for {file}: {error}") from error
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise OutputError(f"cannot write {file}: it is a folder, or lies in one that is read-only")


def _classify(options: argparse.Namespace, targets: dict[str, list[Path]]) -> int:
    """Classifies every video; a video that fails does not stop the next, a server does."""
    exit_code = 0
    with EmotionClient(options.url, timeout_s=options.timeout_s) as client:
        for video, files in targets.items():
            try:
                result = client.classify(video)
            except VideoError as error:
                print(f"vemoclap: {error}", file=sys.stderr)
                exit_code = error.exit_code
                continue
            print(format_result(result), end="\n\n", flush=True)
            for file in files:
                _write_json(result, file)
    return exit_code


def _write_json(result: EmotionResult, file: Path) -> None:
    document = json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n"
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        # A name's undecodable bytes come out as \udcXX, which is how JSON writes them too.
        partial.write_text(document, encoding="utf-8", errors="backslashreplace")
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write {file}: {error}") from error


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= LONGEST_TIMEOUT_S:
        raise argparse.ArgumentTypeError(f"not between 0 and {LONGEST_TIMEOUT_S} seconds: {text}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vemoclap", description="Which emotion a video conveys, and why."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    classify = commands.add_parser(
        "classify",
        help="classify video files",
        description="Decodes video files here and has a running server name their emotions.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    classify.add_argument("videos", nargs="+", metavar="VIDEO", help="a video file")
    classify.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    classify.add_argument(
        "--json-dir", type=Path, metavar="DIR", help="also write DIR/<video>.json for each video"
    )
    classify.add_argument(
        "--url", default=default_url(), help="gRPC address, host:port ($VEMOCLAP_URL; %(default)s)"
    )
    classify.add_argument(
        "--timeout-s", type=_seconds, default=DEFAULT_TIMEOUT_S, help="longest wait (%(default)g)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
