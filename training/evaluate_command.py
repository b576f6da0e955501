"""`python -m training evaluate STORE --head DIR/head.pt`: how good a head is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import splits
from training.store import Store
from vemoclap_client.contract import MODALITIES

if TYPE_CHECKING:
    from training.evaluation import Ablation, Evaluation

PICTURE = "confusion.png"


def main(arguments: Sequence[str]) -> None:
    """Run the command.

    Raises:
        ExportError: the head or the store is not fit for it; the type says why.
    """
    given = _parser().parse_args(arguments)
    store = Store(given.store)
    # torch is imported only when there is something to score.
    from training import confusion_picture, evaluation, metrics, report

    head: Path = given.head
    subject = evaluation.load(head, store, given.split, given.released, given.allow_other_data)
    for warning in subject.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    scored = evaluation.evaluate(subject.head, store, given.split)
    document = report.to_document(scored, subject, store)
    folder = given.out or head.parent
    path = report.write(folder, document)
    confusion_picture.write(folder / PICTURE, metrics.normalised(scored.confusion))
    print("\n".join(_lines(scored, document)))
    print(f"{path}\n{folder / PICTURE}")


def _lines(scored: Evaluation, document: dict[str, Any]) -> list[str]:
    calibration = scored.calibration
    return [
        f"{scored.clips} clips of the {scored.split} split; in brackets: 95 % confidence interval",
        f"accuracy  {_interval(document['accuracy'])}",
        f"macro F1  {_interval(document['macro_f1'])}",
        "",
        f"{'':10} precision   recall       F1  clips",
        *(
            f"{emotion:10} {_share(row['precision']):>9} {_share(row['recall']):>8} "
            f"{_share(row['f1']):>8} {row['support']:6}"
            for emotion, row in document["classes"].items()
        ),
        "",
        "confusion, of each true emotion (rows), in %",
        *_confusion(document["confusion"]),
        "",
        "modalities           accuracy macro F1",
        *(_ablation(name, row) for name, row in _rows(scored)),
        "",
        "expected calibration error",
        f"  as it is                 {_interval(document['calibration']['before'])}",
        f"  at temperature {calibration.temperature:<8.3f}  "
        f"{_interval(document['calibration']['after'])}"
        f"   (fitted to {calibration.fitted_to} validation clips)",
    ]


def _confusion(confusion: dict[str, Any]) -> list[str]:
    names = confusion["emotions"]
    rows = zip(names, confusion["normalised"], strict=True)
    return [
        " " * 10 + "".join(f"{name:>9}" for name in names),
        *(f"{name:10}" + "".join(f"{_share(v):>9}" for v in row) for name, row in rows),
    ]


def _rows(scored: Evaluation) -> list[tuple[str, Ablation]]:
    names = ["all", *(f"without {modality}" for modality in MODALITIES)]
    alone = [f"{modality} alone" for modality in MODALITIES]
    return list(zip([*names, *alone], [*scored.left_out, *scored.alone], strict=True))


def _ablation(name: str, row: Ablation) -> str:
    return f"{name:20} {_share(row.accuracy):>8} {_share(row.macro_f1):>8}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _interval(found: dict[str, float]) -> str:
    return f"{found['value']:.1%} [{found['low']:.1%}, {found['high']:.1%}]"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m training evaluate",
        description="Scores a head on a split of a feature store, and writes evaluation.json and "
        f"{PICTURE}.",
    )
    add = parser.add_argument
    add("store", type=Path, metavar="STORE", help="a feature store")
    add("--head", type=Path, required=True, metavar="head.pt", help="with head.json beside it")
    add("--split", choices=splits.SPLITS, default=splits.TEST, help="(default: %(default)s)")
    add("--out", type=Path, metavar="DIR", help="for the results (default: beside the head)")
    add("--released", action="store_true", help="the head is the checkpoint of VEMOCLAP's authors")
    add(
        "--allow-other-data",
        action="store_true",
        help="score it on another store than the one that it was trained with",
    )
    return parser
