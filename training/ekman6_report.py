"""What a run on Ekman-6 leaves: the results to hold against those of VEMOCLAP's paper.

The paper's own figures are not in this program, so that none of ours can be taken for one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training import confusion_picture, report
from vemoclap_client.contract import MODALITIES

PICTURE = "figure2-of-this-run.png"
PAPER = "https://arxiv.org/abs/2410.21303"
REPORTED = "4.3 % more accuracy on Ekman-6 than the state of the art before it"
"""Source: the paper's abstract."""


def write(folder: Path, differences: Sequence[str]) -> None:
    """Print the table of a run, and write its Figure 2.

    Args:
        folder: that the evaluation was written to.
        differences: from the paper's training and data.

    Raises:
        OutputError: the disk is full.
    """
    document = json.loads((folder / report.FILE).read_text(encoding="utf-8"))
    print("\n".join(_lines(document, differences)))
    shares = np.array(document["confusion"]["normalised"], np.float64)  # null becomes NaN
    confusion_picture.write(folder / PICTURE, shares, _caption(document, differences))
    print(f"Figure 2, of this run: {folder / PICTURE}")


def _lines(document: dict[str, Any], differences: Sequence[str]) -> list[str]:
    accuracy = document["accuracy"]
    without = zip(MODALITIES, document["ablation"]["left_out"][1:], strict=True)
    alone = zip(MODALITIES, document["ablation"]["alone"], strict=True)
    return [
        "",
        f"Ekman-6, {document['data']['clips']} test clips: accuracy of THIS RUN, not the paper's",
        f"  {'all modalities':22} {accuracy['value']:6.1%}   "
        f"95 % interval {accuracy['low']:.1%} to {accuracy['high']:.1%}",
        *(f"  {f'without {name}':22} {row['accuracy']:6.1%}" for name, row in without),
        *(f"  {f'{name} alone':22} {row['accuracy']:6.1%}" for name, row in alone),
        "",
        *(f"differs from the paper: {difference}" for difference in differences),
        f"The paper's own figures are in {PAPER} and are not repeated here;",
        f"its abstract reports {REPORTED}.",
    ]


def _caption(document: dict[str, Any], differences: Sequence[str]) -> str:
    return (
        f"This run's, not the paper's Figure 2: {document['data']['clips']} test clips, accuracy "
        f"{document['accuracy']['value']:.1%}.\n"
        f"Trained on {document['head']['trained_on']}; known differences from the paper: "
        f"{len(differences)}."
    )
