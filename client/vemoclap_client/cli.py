"""The command `vemoclap`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from vemoclap_client.client import DEFAULT_TIMEOUT_S, EmotionClient, default_url
from vemoclap_client.errors import VemoclapError, VideoError
from vemoclap_client.printing import format_result
from vemoclap_client.results import EmotionResult

EXIT_CODES = """\
exit codes: 0 all went well; 2 wrong usage; 1x a video: 11 not found, 12 empty, 13 not a video,
14 sound only, 15 not decodable; 2x the server: 21 not there, 22 not ready, 23 lost during the
request, 24 overloaded, 25 too slow, 26 refused the request, 27 a model failed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.json and len(options.videos) > 1:
        parser.error("--json takes one video; for several use --json-dir")
    try:
        return _classify(options)
    except VemoclapError as error:
        print(f"vemoclap: {error}", file=sys.stderr)
        return error.exit_code


def _classify(options: argparse.Namespace) -> int:
    """Classifies every video; a video that fails does not stop the next, a server does."""
    exit_code = 0
    with EmotionClient(options.url, timeout_s=options.timeout_s) as client:
        for video in options.videos:
            try:
                result = client.classify(video)
            except VideoError as error:
                print(f"vemoclap: {error}", file=sys.stderr)
                exit_code = error.exit_code
                continue
            print(format_result(result), end="\n\n", flush=True)
            _write_json(result, options)
    return exit_code


def _write_json(result: EmotionResult, options: argparse.Namespace) -> None:
    document = json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n"
    if options.json:
        options.json.write_text(document, encoding="utf-8")
    if options.json_dir:
        options.json_dir.mkdir(parents=True, exist_ok=True)
        path = options.json_dir / f"{Path(result.video).stem}.json"
        path.write_text(document, encoding="utf-8")


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
        "--timeout-s", type=float, default=DEFAULT_TIMEOUT_S, help="longest wait (%(default)g)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
