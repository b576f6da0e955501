"""`python -m training train DATA --out DIR`: from labelled clips to a head to serve."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from export.configuration import REPOSITORY
from training import splits
from training.errors import StoreError
from training.lists import Lists
from training.manifest import MANIFEST
from training.recipe import FAST, RECIPES, Recipe
from training.store import Store
from vemoclap_client.channels import default_url
from vemoclap_client.contract import DEFAULT_TIMEOUT_S, EMOTIONS

LARGEST_SEED = 2**32 - 1
"""torch takes 64 bits; a step's seed is that of the training and the step's number in one."""

DESCRIPTION = """\
Trains the fusion head on labelled clips, or goes on with a training that was interrupted.

DATA is one of
  a folder of clips    DATA/<emotion>/*; a running server extracts their features, once
  a feature store      what that has left in DIR/features
  a batch's files      what `vemoclap batch --features` has written
  features.pkl         as VEMOCLAP's authors publish it, with --splits and --blacklist"""


def main(arguments: Sequence[str]) -> None:
    """Run the command.

    Raises:
        ExportError: the data or the folder is not fit for a training; the type says why.
        ServerError: the server could not extract features.
    """
    train(parse(build_parser("train", DESCRIPTION), arguments))


def train(given: argparse.Namespace) -> Path:
    """Train as the options say, and return head.pt.

    Raises:
        ExportError: the data or the folder is not fit for a training; the type says why.
        ServerError: the server could not extract features.
    """
    store = _store(given)
    _print_store(store)
    # torch is imported only when there is something to train on.
    from training import trained
    from training.trainer import Training

    training = Training(store, given.out, recipe_of(given), given.seed, given.device)
    if training.state.step:
        print(f"going on after step {training.state.step}", flush=True)
    best = training.run()
    described = training.describe()
    path = trained.write(given.out, training.state.best_weights, described)
    print(
        f"best on the validation split: {best.accuracy:.1%} of {len(training.validation)} clips, "
        f"at step {best.step}\n"
        f"{path}, trained on {described.trained_on}\n"
        f"serve it:  {shlex.quote(sys.executable)} -m export fusion "
        f"--profile {described.profile} --checkpoint {path} && make serve"
    )
    return path


def features_folder(given: argparse.Namespace) -> Path:
    """Return where the feature store goes."""
    folder: Path = given.store or given.out / "features"
    return folder


def _store(given: argparse.Namespace) -> Store:
    data: Path = given.data
    if (data / MANIFEST).is_file() and not given.store:
        return Store(data)
    folder = features_folder(given)
    if data.is_dir() and any(data.glob("part-*.parquet")):
        return _from_batch(given, folder)
    if data.is_dir():
        return _from_clips(given, folder)
    if data.is_file():
        return _from_upstream(given, folder)
    raise StoreError(f"there is no {data}: name a folder of clips, a feature store or features.pkl")


def _from_clips(given: argparse.Namespace, folder: Path) -> Store:
    from training.folder import extract
    from training.server_features import FeatureServer

    server = FeatureServer(given.url, given.timeout_s)
    store, found = extract(
        given.data,
        folder,
        server,
        given.repository,
        given.in_flight,
        seed=given.seed,
        given=_lists(given),
        name=given.name,
    )
    _print_notes(found.notes)
    print(
        f"features: {found.encoded} clips extracted, {found.kept} already there, "
        f"{len(found.skipped)} skipped"
    )
    return store


def _from_batch(given: argparse.Namespace, folder: Path) -> Store:
    try:
        from training.parquet import store_features
    except ModuleNotFoundError as error:
        raise StoreError(
            f"a batch's files are read with pyarrow ({error}). Install it: "
            f"{shlex.quote(sys.executable)} -m pip install --editable './client[batch]'"
        ) from error
    store, skipped = store_features(given.data, folder, given.seed)
    print(f"features: {len(store.splits)} clips, {len(skipped)} skipped")
    return store


def _from_upstream(given: argparse.Namespace, folder: Path) -> Store:
    from training.upstream import store_features

    imported = store_features(given.data, folder, given.seed, _lists(given), given.name)
    _print_notes(imported.notes)
    for name, reason in imported.skipped.items():
        print(f"skipped {name}: {reason}")
    print(f"features: {len(imported.store.splits)} clips, {len(imported.skipped)} skipped")
    return imported.store


def _lists(given: argparse.Namespace) -> Lists:
    return Lists(given.splits, given.blacklist)


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)


def _print_store(store: Store) -> None:
    manifest = store.manifest
    for part in splits.SPLITS:
        labels = {name: manifest.clips[name]["label"] for name in store.ids(part)}
        counts = ", ".join(f"{label} {number}" for label, number in splits.count(labels).items())
        print(f"{part:10} {len(labels):5} clips: {counts}")
    labels = {name: entry["label"] for name, entry in manifest.clips.items()}
    if missing := [emotion for emotion in EMOTIONS if emotion not in labels.values()]:
        print(f"no clip is labelled {', '.join(missing)}: the head will not learn to name these")


def recipe_of(given: argparse.Namespace) -> Recipe:
    """Return the recipe that the options choose and change."""
    recipe = RECIPES[given.recipe]
    changes = {"steps": given.steps, "heads": given.heads, "width": given.width}
    return replace(recipe, **{key: value for key, value in changes.items() if value is not None})


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Return what was given; ends with 2 where no head can be made of it, before any work."""
    given = parser.parse_args(arguments)
    recipe = recipe_of(given)
    if recipe.width % recipe.heads:
        parser.error(
            f"a width of {recipe.width} cannot be divided among {recipe.heads} heads: choose "
            "--width and --heads so that it can"
        )
    return given


def build_parser(command: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of a command that trains."""
    parser = argparse.ArgumentParser(
        f"python -m training {command}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", type=Path, metavar="DATA")
    add("--out", type=Path, required=True, metavar="DIR", help="for head.pt, head.json and logs")
    add("--recipe", choices=RECIPES, default=FAST.name, help="(default: %(default)s)")
    add("--seed", type=_seed, default=1, help="(default: %(default)s)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--steps", type=_positive, help="at most (default: the recipe's)")
    add("--heads", type=_positive, help="of each attention (default: 4)")
    add("--width", type=_positive, help="of what is attended to (default: 512)")
    clips = parser.add_argument_group("for a folder of clips")
    add = clips.add_argument
    add("--url", default=default_url(), help="gRPC address of the server (%(default)s)")
    add("--timeout-s", type=float, default=DEFAULT_TIMEOUT_S, help="longest wait (%(default)g)")
    add("--repository", type=Path, default=REPOSITORY, help="the model repository it serves")
    add("--store", type=Path, help="where features go (default: DIR/features)")
    add("--in-flight", type=_positive, default=4, help="clips at the same time (%(default)s)")
    upstream = parser.add_argument_group("for features.pkl, and for a folder of clips")
    upstream.add_argument("--splits", type=Path, help="JSON: {split: [id, ...]}")
    upstream.add_argument("--blacklist", type=Path, help="ids to leave out, one a line")
    upstream.add_argument("--name", help="of the data (default: the file's or folder's)")
    return parser


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value <= LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{value} is not between 0 and {LARGEST_SEED}")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"not a positive number: {text}")
    return value
