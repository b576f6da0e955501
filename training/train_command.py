"""`python -m training train DATA --out DIR`: from labelled clips to a head to serve."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from export.configuration import REPOSITORY
from training import splits
from training.errors import StoreError
from training.manifest import MANIFEST
from training.recipe import FAST, RECIPES, Recipe
from training.store import Store
from vemoclap_client.channels import default_url
from vemoclap_client.client import DEFAULT_TIMEOUT_S
from vemoclap_client.contract import EMOTIONS

DESCRIPTION = """\
Trains the fusion head on labelled clips, or goes on with a training that was interrupted.

DATA is one of
  a folder of clips    DATA/<emotion>/*; a running server extracts their features, once
  a feature store      what that has left in DIR/features
  features.pkl         as VEMOCLAP's authors publish it, with --splits and --blacklist"""


def main(arguments: Sequence[str]) -> None:
    """Run the command.

    Raises:
        ExportError: the data or the folder is not fit for a training; the type says why.
        ServerError: the server could not extract features.
    """
    given = _parser().parse_args(arguments)
    store = _store(given)
    _print_store(store)
    # torch is imported only when there is something to train on.
    from training import trained
    from training.trainer import Training

    training = Training(store, given.out, _recipe(given), given.seed, given.device)
    if training.state.step:
        print(f"going on after step {training.state.step}", flush=True)
    best = training.run()
    described = training.describe()
    path = trained.write(given.out, training.state.best_weights, described)
    print(
        f"best on the validation split: {best.accuracy:.1%} of {len(training.validation)} clips, "
        f"at step {best.step}\n"
        f"{path}, trained on {described.trained_on}\n"
        "serve it:  python -m export fusion "
        f"--profile {described.profile} --checkpoint {path} && make serve"
    )


def _store(given: argparse.Namespace) -> Store:
    data: Path = given.data
    if (data / MANIFEST).is_file() and not given.store:
        return Store(data)
    folder = given.store or given.out / "features"
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
        given.data, folder, server, given.repository, given.in_flight, seed=given.seed
    )
    print(
        f"features: {found.encoded} clips extracted, {found.kept} already there, "
        f"{len(found.skipped)} skipped"
    )
    return store


def _from_upstream(given: argparse.Namespace, folder: Path) -> Store:
    from training.upstream import store_features

    imported = store_features(given.data, folder, given.seed, given.splits, given.blacklist)
    for name, reason in imported.skipped.items():
        print(f"skipped {name}: {reason}")
    print(f"features: {len(imported.store.splits)} clips, {len(imported.skipped)} skipped")
    return imported.store


def _print_store(store: Store) -> None:
    manifest = store.manifest
    for part in splits.SPLITS:
        labels = {name: manifest.clips[name]["label"] for name in store.ids(part)}
        counts = ", ".join(f"{label} {number}" for label, number in splits.count(labels).items())
        print(f"{part:10} {len(labels):5} clips: {counts}")
    labels = {name: entry["label"] for name, entry in manifest.clips.items()}
    if missing := [emotion for emotion in EMOTIONS if emotion not in labels.values()]:
        print(f"no clip is labelled {', '.join(missing)}: the head will not learn to name these")


def _recipe(given: argparse.Namespace) -> Recipe:
    recipe = RECIPES[given.recipe]
    changes = {"steps": given.steps, "heads": given.heads, "width": given.width}
    return replace(recipe, **{key: value for key, value in changes.items() if value is not None})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m training train",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", type=Path, metavar="DATA")
    add("--out", type=Path, required=True, metavar="DIR", help="for head.pt, head.json and logs")
    add("--recipe", choices=RECIPES, default=FAST.name, help="(default: %(default)s)")
    add("--seed", type=int, default=1, help="(default: %(default)s)")
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
    upstream = parser.add_argument_group("for features.pkl")
    upstream.add_argument("--splits", type=Path, help="JSON: {split: [id, ...]}")
    upstream.add_argument("--blacklist", type=Path, help="ids to leave out, one a line")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"not a positive number: {text}")
    return value
