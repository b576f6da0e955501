"""The command line of an export: what may be chosen, and what was chosen before."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from export import stamp
from export.configuration import REPOSITORY
from export.errors import CheckpointError
from export.fusion import authors
from export.options import Checkpoint, Format, Options, Precision, Pretrained, Random, Weights
from export.registry import PROFILES, whisper_size
from export.spec import Slot

NO_TRANSLATOR = "none"
TRANSLATING = ("translator", "language_identifier")
"""The slots that translate on-screen text; screen_reader does without them."""

REFERENCE = "image_encoder"
"""A slot that has every format and precision: it tells how a folder was filled."""

CHOICES = (
    *("profile", "format", "precision", "weights", "checkpoint", "seed", "head", "heads"),
    *("stats", "accept", "whisper", "translator"),
)
"""What --as-before takes from the earlier export."""

DESCRIPTION = """\
Puts pretrained networks into the model repository, each checked against its eager original.
Other commands:  python -m export weights   list what the networks are made of
                 python -m export check     what an export would fetch, and whether it can be
                 python -m export samples   fetch and render three sample clips
                 python -m export configs   derive the slots' configurations for other machines"""

LARGEST_SEED = 2**63 - 1


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line of an export."""
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
    add_choices(parser)
    add(
        "--accept",
        choices=[authors.LICENCE],
        metavar="LICENCE",
        help=f"{authors.LICENCE}, the licence of the authors' head",
    )
    add("--heads", type=int, metavar="N", help="of the head's attentions (default: as described)")
    add("--stats", type=Path, help="the authors' stats.pt, for the head's ranges")
    add("--out", type=Path, default=REPOSITORY, help="model repository to fill")
    add(
        "--as-before",
        action="store_true",
        help="what is there already, where out of date; embedded where nothing is",
    )
    add("--force", action="store_true", help="even where nothing has changed")
    return parser


def add_choices(parser: argparse.ArgumentParser) -> None:
    """What decides which files an export needs."""
    add = parser.add_argument
    add(
        "--head",
        type=Path,
        help="for slot fusion: model.pt, head.pt of a training, or `authors` to fetch theirs",
    )
    add("--whisper", metavar="SIZE", help="of the paper profile (default: large-v3)")
    add(
        "--translator",
        choices=("nllb", NO_TRANSLATOR),
        default="nllb",
        help="of on-screen text in the paper profile; NLLB is not for commercial use (%(default)s)",
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what was given; ends with 2 where --as-before meets a choice."""
    given = parser().parse_args(arguments)
    if given.as_before:
        unset = parser()
        unset.set_defaults(**dict.fromkeys(CHOICES))
        chosen = vars(unset.parse_args(arguments))
        if named := [f"--{name}" for name in CHOICES if chosen[name] is not None]:
            unset.error(
                f"--as-before takes every choice from the earlier export: leave out "
                f"{', '.join(named)}, or leave out --as-before"
            )
    return given


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed <= LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{seed} is not between 0 and {LARGEST_SEED}")
    return seed


def options_of(given: argparse.Namespace) -> Options:
    """What was chosen; the authors' head is fetched, and `given` names its files then.

    Raises:
        LicenceError: the authors' head is asked for, and its licence not accepted.
        WeightsError: the authors' head cannot be had.
        CheckpointError: a file that was named cannot be read.
    """
    weights: Weights = Pretrained()
    if given.head == Path(authors.NAME):
        fetched = authors.fetch(given.accept)
        given.head, given.stats = fetched.checkpoint, given.stats or fetched.stats
    if given.head is not None:
        _check_readable(given.head)
    if given.checkpoint is not None:
        _check_readable(given.checkpoint)
        weights = Checkpoint(given.checkpoint)
    elif given.weights == "random":
        weights = Random(given.seed)
    default = "embedded" if isinstance(weights, Pretrained) else "paper"
    return Options(given.profile or default, given.format, given.precision, weights)


def earlier(given: argparse.Namespace) -> Options:
    """The choices that the folder was filled with; sets the size of its Whisper too."""
    filled = sorted(path.parents[1] for path in given.out.glob(f"*/{stamp.STAMP}"))
    folders = (given.out / REFERENCE, *filled)
    earlier = next(filter(None, map(stamp.options, folders)), Options())
    if earlier.profile == "paper":
        named = stamp.read(given.out / "speech_recognizer").get("artifacts", {})
        given.whisper = whisper_size(named)
        if not stamp.read(given.out / TRANSLATING[0]):
            given.translator = NO_TRANSLATOR
    return earlier


def earlier_of_slot(folder: Path, options: Options) -> Options:
    """The choices that a slot was filled with by itself.

    Args:
        folder: the slot's.
        options: those of the repository, which decide where the slot's cannot be served with the
            others: its weights are of another profile, or random beside pretrained ones.
    """
    own = stamp.options(folder, options)
    if own is None or own.profile != options.profile:
        return options
    is_same_kind = type(own.weights) is type(options.weights)
    return own if is_same_kind else replace(own, weights=options.weights)


def _check_readable(checkpoint: Path) -> None:
    if not checkpoint.is_file():
        raise CheckpointError(f"there is no checkpoint {checkpoint}")
    try:
        with checkpoint.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise CheckpointError(f"the checkpoint cannot be read: {error}") from error


def without(slots: Sequence[Slot], translator: str) -> list[Slot]:
    """The slots that are to be filled with this choice of a translator."""
    left_out = TRANSLATING if translator == NO_TRANSLATOR else ()
    return [slot for slot in slots if slot.name not in left_out]
