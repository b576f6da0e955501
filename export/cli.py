"""The command line: export slots, list the weights, bring the sample clips."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from export import inventory, placing, stamp
from export.building import build_of
from export.command_line import add_choices, earlier, earlier_of_slot, options_of, parse, without
from export.configuration import CONFIG, REPOSITORY
from export.errors import UnknownNameError
from export.exporting import Report, export_slot, kept_checkpoint, unchanged
from export.fusion import attention, authors
from export.options import Checkpoint, Options, Precision, Pretrained
from export.parity import allowed
from export.registry import needed, select
from export.spec import Slot
from export.weights import fetch_all
from vemoclap_client.errors import VemoclapError

HEAD_SLOT = "fusion"


def main(arguments: Sequence[str]) -> int:
    """Run a command; return 0, the exit code of the error that it printed, or 128 + the signal.

    Where it is told to end, by Ctrl-C or SIGTERM, nothing unfinished stays behind.
    """
    commands = {"weights": _weights, "check": _check, "samples": _samples, "configs": _configs}
    try:
        with _ending_on_sigterm():
            if arguments and arguments[0] in commands:
                commands[arguments[0]](arguments[1:])
            else:
                _export(arguments)
    except VemoclapError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, _TerminatedError) as error:
        print("interrupted: what was at work is as it was before", file=sys.stderr)
        ended_by = signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM
        return 128 + ended_by
    return 0


class _TerminatedError(BaseException):
    """SIGTERM has come."""


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the stack, which removes what is unfinished."""

    def end(*_: object) -> None:
        raise _TerminatedError

    earlier = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def _export(arguments: Sequence[str]) -> None:
    given = parse(arguments)
    options = earlier(given) if given.as_before else options_of(given)
    slots = without(select(options.profile, given.slots, given.whisper), given.translator)
    if isinstance(options.weights, Checkpoint) and len(slots) != 1:
        raise UnknownNameError("--checkpoint fills one slot: name it (--head brings the head)")
    choices = [_choice(given, _of_slot(given, options, slot), slot) for slot in slots]
    if given.as_before:
        for slot, chosen in list(choices):
            if not _can_be_exported_again(slot, chosen, given.out):
                choices.remove((slot, chosen))
                placing.refresh_configurations(slot.name, given.out)
    for slot, chosen in choices:
        build_of(slot, chosen)  # refuses what cannot be had before the first download
    placing.remove_leftovers(given.out)
    if given.slots:
        _export_slots(given, choices, None)
        return
    names = [slot.name for slot in slots]
    placing.complete(names, given.out)
    with placing.replacement(given.out, options) as staging:
        _export_slots(given, choices, staging)
        if staging is not None:
            placing.place(staging, [slot.name for slot, _ in choices], given.out)
    for name in placing.remove_others(names, given.out):
        print(f"{name:18} emptied: it is not part of profile {options.profile}")
    if isinstance(options.weights, Pretrained):
        for line in inventory.not_for_commerce(needed(slots)):
            print(line)


def _export_slots(
    given: argparse.Namespace, choices: Sequence[tuple[Slot, Options]], staging: Path | None
) -> None:
    for number, (slot, chosen) in enumerate(choices, 1):
        report = None if given.force or staging else unchanged(slot, given.out, chosen)
        if report:
            placing.refresh_configurations(slot.name, given.out)
        else:
            print(f"exporting {slot.name} ({number} of {len(choices)}) ...", flush=True)
            report = export_slot(slot, given.out, force=True, options=chosen, staging=staging)
        print(_line(slot, report), flush=True)


def _of_slot(given: argparse.Namespace, options: Options, slot: Slot) -> Options:
    return earlier_of_slot(given.out / slot.name, options) if given.as_before else options


def _choice(given: argparse.Namespace, options: Options, slot: Slot) -> tuple[Slot, Options]:
    """A slot and its options; `fusion` holds the head that is brought, or was brought earlier."""
    if slot.name != HEAD_SLOT:
        return slot, options
    checkpoint: Path | None = given.head
    if checkpoint is None and isinstance(options.weights, Pretrained):
        checkpoint = kept_checkpoint(given.out / slot.name, options.profile)
    if checkpoint is not None:
        options = replace(options, weights=Checkpoint(checkpoint))
    return attention.choose(options, given.heads, given.stats) or slot, options


def _can_be_exported_again(slot: Slot, options: Options, repository: Path) -> bool:
    """Whether the slot was not filled from a file of the user's that is not kept."""
    is_brought = "checkpoint" in stamp.weights(repository / slot.name)
    return not is_brought or isinstance(options.weights, Checkpoint)


def _line(slot: Slot, report: Report) -> str:
    if report.skipped:
        return f"{report.slot:18} unchanged"
    return f"{report.slot:18} {report.seconds:5.1f} s  {_found(slot, report)}"


def _found(slot: Slot, report: Report) -> str:
    if slot.network is None or report.precision is None:
        return "files in place"
    written = f"{report.format} {report.precision}"
    if not report.figures:
        return f"{written}, from a file that was checked by itself"
    figures = ", ".join(
        f"{name} {figure:.4f}" if report.precision is Precision.INT8 else f"{name} {figure:.1e}"
        for name, figure in report.figures.items()
    )
    return f"{written}  {figures} ({allowed(slot.network, report.precision)})"


def _weights(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("python -m export weights")
    parser.add_argument(
        "--verify", action="store_true", help="fetch what is missing and compute every checksum"
    )
    parser.add_argument(
        "--profile", default="embedded", help="whose weights to verify (%(default)s)"
    )
    given = parser.parse_args(arguments)
    if given.verify:
        fetch_all(needed(select(given.profile, [])), verify=True)
    for line in inventory.all_artifacts():
        print(line)


def _check(arguments: Sequence[str]) -> None:
    checked = argparse.ArgumentParser("python -m export check")
    checked.add_argument("--profile", default="paper", help="what is to be exported (%(default)s)")
    add_choices(checked)
    given = checked.parse_args(arguments)
    slots = without(select(given.profile, [], given.whisper), given.translator)
    head = authors.ARTIFACTS if given.head == Path(authors.NAME) else ()
    for line in inventory.to_fetch([*needed(slots), *head]):
        print(line, flush=True)


def _samples(arguments: Sequence[str]) -> None:
    from export.samples import bring

    parser = argparse.ArgumentParser("python -m export samples")
    parser.add_argument("--out", type=Path, help="folder for the clips (default: the cache)")
    for path in bring(parser.parse_args(arguments).out):
        print(path)


def _configs(arguments: Sequence[str]) -> None:
    from export import variants

    argparse.ArgumentParser("python -m export configs").parse_args(arguments)
    for config in sorted(REPOSITORY.glob(f"*/{CONFIG}")):
        for path in variants.write(config.parent):
            print(path.relative_to(REPOSITORY))
