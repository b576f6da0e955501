"""`python -m training ekman6 FOLDER --out DIR`: from the downloaded files to a table of results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from training import ekman6, evaluate_command, lists, splits, train_command
from training.ekman6 import Download
from training.recipe import PAPER
from training.store import Store

DESCRIPTION = """\
Trains the fusion head on Ekman-6 as its authors publish it, and scores it on the test clips of
their split: prints the accuracy with all modalities, without each and with each alone, and writes
the confusion matrix as a picture, as Figure 2 of VEMOCLAP's paper is one.

DATA is the folder with the downloaded files; without them, it says which ones are needed."""


def main(arguments: Sequence[str]) -> None:
    """Run the command.

    Raises:
        DataSetError: a file has not been downloaded; says which.
        ExportError: the files are not fit for a training; the type says why.
        ServerError: the server could not extract features.
    """
    given = train_command.parse(_parser(), arguments)
    found = ekman6.find(given.data, report=partial(print, file=sys.stderr, flush=True))
    form, given.data = found.data(given.use)
    given.splits = None if given.own_split else _needed(given.splits, found, ekman6.SPLIT)
    given.blacklist = (
        None if given.no_blacklist else _needed(given.blacklist, found, ekman6.BLACKLIST)
    )
    if given.form:
        print(form)
        return
    given.name = given.name or ekman6.NAME
    head = train_command.train(given)
    folder = train_command.features_folder(given)
    evaluate_command.main([str(folder), "--head", str(head)])
    # torch is imported only when there is something to report.
    from training import ekman6_report

    ekman6_report.write(given.out, differences(given, form, Store(folder).manifest.profile))


OPTIONS = {
    ekman6.SPLIT: ("--splits", "--own-split"),
    ekman6.BLACKLIST: ("--blacklist", "--no-blacklist"),
}
"""What is needed -> the options that name it, and that do without."""


def _needed(named: Path | None, found: Download, what: str) -> Path:
    """The list that is named, else the one that was downloaded."""
    path = named or found.only(what)
    if not path:
        option, without = OPTIONS[what]
        raise ekman6.missing(
            found.folder,
            f'no {what}. If a file of another name is it: TRAIN_FLAGS="{option} file". Without '
            f'one: TRAIN_FLAGS="{without}", and the results cannot be held against the paper\'s',
        )
    return path


def differences(given: argparse.Namespace, form: str, profile: str) -> list[str]:
    """Return in what a run differs from the paper's, as far as that is known here.

    Args:
        given: the options.
        form: of the data: features or videos.
        profile: of the features.
    """
    recipe = train_command.recipe_of(given)
    found = []
    if form == ekman6.VIDEOS:
        found.append(f"features of this server's encoders ({profile} profile)")
    if recipe != PAPER:
        changed = {key: value for key, value in asdict(recipe).items() if key in CHANGEABLE}
        settings = ", ".join(f"{key} {value}" for key, value in changed.items())
        found.append(f"recipe {recipe.name} ({settings}); the authors': --recipe paper")
    if given.splits is None:
        found.append(f"the split was drawn here (seed {given.seed}): it is not the authors'")
    elif not lists.names_split(given.splits, splits.VALIDATION):
        found.append(
            f"{given.splits.name} has no clips for validation: they were drawn here from those for "
            f"training (seed {given.seed})"
        )
    if given.blacklist is None:
        found.append("no blacklist: mislabelled clips are among those for training and the test")
    return found


CHANGEABLE = ("steps", "heads", "width")
"""Settings of a recipe that options change."""


def _parser() -> argparse.ArgumentParser:
    parser = train_command.build_parser("ekman6", DESCRIPTION)
    group = parser.add_argument_group("for Ekman-6")
    add = group.add_argument
    add("--use", choices=ekman6.FORMS, help="(default: features where they are there)")
    add("--own-split", action="store_true", help="draw a split by the seed: not the authors'")
    add("--no-blacklist", action="store_true", help="use the mislabelled clips too")
    add("--form", action="store_true", help="print features or videos, whichever is used, and end")
    return parser
