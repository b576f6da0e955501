"""The command line: export slots, list the weights, bring the sample clips."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from export import placing, stamp
from export.building import build_of
from export.configuration import CONFIG, REPOSITORY
from export.errors import CheckpointError, UnknownNameError
from export.exporting import Report, export_slot, kept_checkpoint, unchanged
from export.fusion import attention
from export.options import (
    Checkpoint,
    Format,
    Options,
    Precision,
    Pretrained,
    Random,
    Weights,
)
from export.parity import allowed
from export.registry import PROFILES, artifacts_of, profile, select, whisper_size
from export.spec import Slot
from export.weights import artifacts, fetch_all
from vemoclap_client.errors import VemoclapError

HEAD_SLOT = "fusion"

REFERENCE = "image_encoder"
"""A slot that has every format and precision: it tells how a folder was filled."""

DESCRIPTION = """\
Puts pretrained networks into the model repository, each checked against its eager original.
Other commands:  python -m export weights   list what the networks are made of
                 python -m export samples   fetch and render three sample clips
                 python -m export configs   derive the slots' configurations for other machines"""

LARGEST_SEED = 2**63 - 1


def main(arguments: Sequence[str]) -> int:
    """Run a command; return 0, the exit code of the error that it printed, or 128 + the signal.

    Where it is told to end, by Ctrl-C or SIGTERM, nothing unfinished stays behind.
    """
    commands = {"weights": _weights, "samples": _samples, "configs": _configs}
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
    given = _parser().parse_args(arguments)
    options = _earlier(given) if given.as_before else _options(given)
    slots = select(options.profile, given.slots, given.whisper)
    if isinstance(options.weights, Checkpoint) and len(slots) != 1:
        raise UnknownNameError("--checkpoint fills one slot: name it (--head brings the head)")
    choices = [_choice(given, options, slot) for slot in slots]
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
    names = profile(options.profile).keys()
    placing.complete(names, given.out)
    with placing.replacement(given.out, options) as staging:
        _export_slots(given, choices, staging)
        if staging is not None:
            placing.place(staging, [slot.name for slot, _ in choices], given.out)
    for name in placing.remove_others(names, given.out):
        print(f"{name:18} emptied: it is not part of profile {options.profile}")


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m export",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("slots", nargs="*", metavar="SLOT", help="slots to fill (default: all)")
    add(
        "--profile",
        help=f"one of: {', '.join(PROFILES)} (default: embedded; with --checkpoint or "
        "--weights random: paper)",
    )
    add("--format", type=Format, choices=list(Format), default=Format.ONNX)
    add("--precision", type=Precision, choices=list(Precision), default=Precision.FP32)
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--weights",
        choices=("pretrained", "random"),
        default="pretrained",
        help="random: full-size networks for tests of speed and parity, no network needed",
    )
    weights.add_argument("--checkpoint", type=Path, help="fill the one SLOT from this file")
    add("--seed", type=_seed, default=0, help="of random weights")
    add("--head", type=Path, help="for slot fusion: model.pt, or head.pt of a training")
    add("--heads", type=int, metavar="N", help="of the head's attentions (default: as described)")
    add("--stats", type=Path, help="the authors' stats.pt, for the head's ranges")
    add("--whisper", metavar="SIZE", help="of the paper profile (default: large-v3)")
    add("--out", type=Path, default=REPOSITORY, help="model repository to fill")
    add(
        "--as-before",
        action="store_true",
        help="what is there already, where out of date; embedded where nothing is",
    )
    add("--force", action="store_true", help="even where nothing has changed")
    return parser


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed <= LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{seed} is not between 0 and {LARGEST_SEED}")
    return seed


def _options(given: argparse.Namespace) -> Options:
    weights: Weights = Pretrained()
    if given.head is not None:
        _check_readable(given.head)
    if given.checkpoint is not None:
        _check_readable(given.checkpoint)
        weights = Checkpoint(given.checkpoint)
    elif given.weights == "random":
        weights = Random(given.seed)
    default = "embedded" if isinstance(weights, Pretrained) else "paper"
    return Options(given.profile or default, given.format, given.precision, weights)


def _earlier(given: argparse.Namespace) -> Options:
    """The choices that the folder was filled with; sets the size of its Whisper too."""
    earlier = stamp.options(given.out / REFERENCE) or Options()
    if earlier.profile == "paper":
        named = stamp.read(given.out / "speech_recognizer").get("artifacts", {})
        given.whisper = whisper_size(named)
    return earlier


def _check_readable(checkpoint: Path) -> None:
    if not checkpoint.is_file():
        raise CheckpointError(f"there is no checkpoint {checkpoint}")
    try:
        with checkpoint.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise CheckpointError(f"the checkpoint cannot be read: {error}") from error


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
        fetch_all(artifacts_of(given.profile), verify=True)
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
            f"{item.size_bytes / 1e6:.1f}" if item.size_bytes else "unknown",
            item.sha256[:12] or ("by commit" if item.is_pinned else "NOT PINNED"),
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


def _configs(arguments: Sequence[str]) -> None:
    from export import variants

    argparse.ArgumentParser("python -m export configs").parse_args(arguments)
    for config in sorted(REPOSITORY.glob(f"*/{CONFIG}")):
        for path in variants.write(config.parent):
            print(path.relative_to(REPOSITORY))
