"""The command line: export slots, list the weights, bring the sample clips."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from export.exporting import REPOSITORY, Report, export_slot, unchanged
from export.registry import PROFILES, select
from export.spec import Slot
from export.weights import artifacts, fetch_all
from vemoclap_client.errors import VemoclapError

DESCRIPTION = """\
Puts pretrained networks into the model repository, each checked against its eager original.
Other commands:  python -m export weights   list what the networks are made of
                 python -m export samples   fetch and render three sample clips"""


def main(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code: 0, or that of the error that it printed."""
    commands = {"weights": _weights, "samples": _samples}
    try:
        if arguments and arguments[0] in commands:
            commands[arguments[0]](arguments[1:])
        else:
            _export(arguments)
    except VemoclapError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _export(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m export",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("slots", nargs="*", metavar="SLOT", help="slots to fill (default: all)")
    parser.add_argument("--profile", default="embedded", help=f"one of: {', '.join(PROFILES)}")
    parser.add_argument("--out", type=Path, default=REPOSITORY, help="model repository to fill")
    parser.add_argument("--force", action="store_true", help="even where nothing has changed")
    options = parser.parse_args(arguments)
    slots = select(options.profile, options.slots)
    for number, slot in enumerate(slots, 1):
        report = None if options.force else unchanged(slot, options.out)
        if report is None:
            print(f"exporting {slot.name} ({number} of {len(slots)}) ...", flush=True)
            report = export_slot(slot, options.out, force=True)
        print(_line(slot, report), flush=True)


def _line(slot: Slot, report: Report) -> str:
    if report.skipped:
        return f"{report.slot:18} unchanged"
    figures = ", ".join(f"{name} {value:.1e}" for name, value in report.differences.items())
    allowed = (
        f"largest difference {figures} (allowed {slot.network.tolerance:.0e})"
        if slot.network
        else "files in place"
    )
    return f"{report.slot:18} {report.seconds:5.1f} s  {allowed}"


def _weights(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("python -m export weights")
    parser.add_argument(
        "--verify", action="store_true", help="fetch what is missing and compute every checksum"
    )
    if parser.parse_args(arguments).verify:
        fetch_all(artifacts(), verify=True)
    for line in _weights_table():
        print(line)


def _weights_table() -> Iterator[str]:
    """Yield the head, then each artifact with its second source on a line below it."""
    rows = [("name", "slot", "source", "licence", "MB", "sha256")]
    rows += [
        (
            item.name,
            item.slot,
            f"{item.registry}: {', '.join(item.packages)}",
            item.licence,
            f"{item.size_bytes / 1e6:.1f}",
            item.sha256[:12],
        )
        for item in artifacts().values()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    seconds = [None, *(item.second_source for item in artifacts().values())]
    for row, second in zip(rows, seconds, strict=True):
        yield "  ".join(map(str.ljust, row, widths)).rstrip()
        if second:
            yield f"    or {second}"


def _samples(arguments: Sequence[str]) -> None:
    from export.samples import bring

    parser = argparse.ArgumentParser("python -m export samples")
    parser.add_argument("--out", type=Path, help="folder for the clips (default: the cache)")
    for path in bring(parser.parse_args(arguments).out):
        print(path)
