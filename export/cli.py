"""The command line: export slots, list the weights, bring the sample clips."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from export import stamp
from export.errors import CheckpointError, UnknownNameError
from export.exporting import (
    Report,
    complete,
    export_slot,
    place,
    refresh_handwritten,
    remove_others,
    replacement,
    unchanged,
)
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
from export.placing import REPOSITORY
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


INTERRUPTED = 128 + signal.SIGINT
"""Exit code, as shells have it."""

LARGEST_SEED = 2**63 - 1


def main(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code: 0, that of the error that it printed, or 130."""
    commands = {"weights": _weights, "samples": _samples, "configs": _configs}
    try:
        if arguments and arguments[0] in commands:
            commands[arguments[0]](arguments[1:])
        else:
            _export(arguments)
    except VemoclapError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: what was at work is as it was before", file=sys.stderr)
        return INTERRUPTED
    return 0


def _export(arguments: Sequence[str]) -> None:
    given = _parser().parse_args(arguments)
    options = _earlier(given) if given.as_before else _options(given)
    slots = _with_head(given, options, select(options.profile, given.slots, given.whisper))
    if given.as_before:
        slots = [slot for slot in slots if "checkpoint" not in stamp.weights(given.out / slot.name)]
    if isinstance(options.weights, Checkpoint) and len(slots) != 1:
        raise UnknownNameError("--checkpoint fills one slot: name it (--head brings the head)")
    if given.slots:
        _export_slots(given, options, slots, None)
        return
    _check_brought(given, options, slots)
    complete(profile(options.profile), given.out)
    with replacement(given.out, options) as staging:
        _export_slots(given, options, slots, staging)
        if staging is not None:
            place(staging, slots, given.out)
    for name in remove_others(profile(options.profile), given.out):
        print(f"{name:18} emptied: it is not part of profile {options.profile}")


def _export_slots(
    given: argparse.Namespace, options: Options, slots: Sequence[Slot], staging: Path | None
) -> None:
    for number, slot in enumerate(slots, 1):
        chosen = _of_slot(given, options, slot)
        report = None if given.force or staging else unchanged(slot, given.out, chosen)
        if report:
            refresh_handwritten(slot, given.out)
        else:
            print(f"exporting {slot.name} ({number} of {len(slots)}) ...", flush=True)
            report = export_slot(slot, given.out, force=True, options=chosen, staging=staging)
        print(_line(slot, report), flush=True)


def _with_head(given: argparse.Namespace, options: Options, slots: Sequence[Slot]) -> list[Slot]:
    """The slots, `fusion` as the head that is brought, or was brought earlier, describes it."""
    return [
        attention.choose(_of_slot(given, options, slot), given.out, given.heads, given.stats)
        or slot
        if slot.name == HEAD_SLOT
        else slot
        for slot in slots
    ]


def _of_slot(given: argparse.Namespace, options: Options, slot: Slot) -> Options:
    if given.head is None or slot.name != HEAD_SLOT:
        return options
    return replace(options, weights=Checkpoint(given.head))


def _check_brought(given: argparse.Namespace, options: Options, slots: Sequence[Slot]) -> None:
    """Fail before the first download where the profile's head is still to be brought."""
    for slot in slots:
        if slot.is_brought and isinstance(_of_slot(given, options, slot).weights, Pretrained):
            earlier = stamp.read(given.out / slot.name)
            is_there = earlier.get("profile") == options.profile
            if not (is_there and "checkpoint" in str(earlier.get("weights"))):
                raise CheckpointError(
                    f"profile {options.profile} needs a head. VEMOCLAP's is under GPL-3 and not "
                    "ours to fetch: bring its weights/classifier/model.pt, or a head.pt that you "
                    "have trained, with --head FILE (make export PROFILE=paper HEAD=FILE)."
                )


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
    for path in variants.write(REPOSITORY):
        print(path.relative_to(REPOSITORY))
