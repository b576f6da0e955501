"""Slot `fusion` of the paper profile: VEMOCLAP's head, from the authors' checkpoint.

The checkpoint (weights/classifier/model.pt of their repository) is under GPL-3: users bring it
themselves, it is never shipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import CheckpointError
from export.fusion import heads
from export.spec import Files, Network, Slot

if TYPE_CHECKING:
    from export.fusion.attention_head import AttentionHead

WIDTHS = {"image": 512, "audio": 768, "face": 768, "speech": 768, "text": 768}

RANGES = {
    "image": (-11.513216, 5.377771),
    "audio": (-4.46773, 6.2564635),
    "face": (-93.499756, 83.87972),
    "speech": (-3.8625615, 31.99348),
    "text": (-3.5364149, 31.442732),
}
"""Smallest and largest value of each feature in the authors' training data (their stats.pt)."""

TRAINED_ON = "Ekman-6, by VEMOCLAP's authors"


def load(files: Files) -> AttentionHead:
    """Refuse: no pretrained head may be fetched.

    Raises:
        CheckpointError: always; says what to do.
    """
    raise CheckpointError(
        "slot fusion of the paper profile needs a head, and the authors' is not ours to fetch "
        "(GPL-3). Bring their weights/classifier/model.pt: "
        "python -m export fusion --profile paper --checkpoint model.pt"
    )


def random() -> AttentionHead:
    """Return the head with random weights, in evaluation mode."""
    from export.fusion.attention_head import AttentionHead

    return AttentionHead(WIDTHS, RANGES).eval()


def restore(path: Path) -> AttentionHead:
    """Return the head with the weights of a checkpoint in the released format.

    Raises:
        CheckpointError: it cannot be read, or its keys do not fit.
    """
    from export.networks.state import load_state, read_checkpoint

    head = random()
    load_state(head, read_checkpoint(path), path)
    return head


SLOT = Slot(
    name="fusion",
    module=__name__,
    network=Network(
        inputs=heads.inputs(WIDTHS),
        outputs=heads.OUTPUTS,
        load=load,
        examples=heads.examples(WIDTHS),
        cases=4,
        finish=heads.name_in_graph("paper", "attention", TRAINED_ON),
        random=random,
        restore=restore,
    ),
    is_brought=True,
)
