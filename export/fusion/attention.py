"""Slot `fusion`: VEMOCLAP's cross-attention head, trained here or from the authors' checkpoint.

The authors' checkpoint (weights/classifier/model.pt of their repository) is under GPL-3: users
bring it themselves, it is never shipped. A head that was trained here brings its description,
head.json, beside its weights.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import CheckpointError
from export.fusion import description, heads
from export.fusion.description import Description
from export.options import Checkpoint, Options
from export.spec import Builder, Network, Slot, seeded

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

RELEASED = Description("paper", WIDTHS, RANGES, TRAINED_ON, heads=4, width=512, training={})
"""The authors' head."""

IN_SLOT = f"1/{description.FILE}"
"""Where a head that is not quite RELEASED is described in the slot's folder."""


def random(described: Description = RELEASED) -> AttentionHead:
    """Return the head with random weights, in evaluation mode.

    Raises:
        CheckpointError: the number of heads does not divide the width.
    """
    from export.fusion.attention_head import AttentionHead

    if described.heads < 1 or described.width % described.heads:
        raise CheckpointError(f"{described.heads} heads do not divide a width of {described.width}")
    return AttentionHead(
        described.widths, described.ranges, described.heads, described.width
    ).eval()


def restore(path: Path, described: Description = RELEASED) -> AttentionHead:
    """Return the head with the weights of a checkpoint in the released format.

    Raises:
        CheckpointError: it cannot be read, or its keys do not fit.
    """
    from export.networks.state import load_state, read_checkpoint

    head = random(described)
    load_state(head, read_checkpoint(path), path)
    return head


def slot(described: Description = RELEASED) -> Slot:
    """Return the slot for a head of this description."""
    return Slot(
        name="fusion",
        module=__name__,
        network=Network(
            inputs=heads.inputs(dict(described.widths)),
            outputs=heads.OUTPUTS,
            examples=heads.examples(dict(described.widths)),
            cases=4,
            finish=heads.name_in_graph(described.profile, description.KIND, described.trained_on),
        ),
        random=Builder(network=seeded(partial(random, described))),
        checkpoint=Builder(network=partial(restore, described=described)),
        texts={} if described == RELEASED else {IN_SLOT: described.to_json()},
    )


SLOT = slot()


def choose(
    options: Options, head_count: int | None = None, stats: Path | None = None
) -> Slot | None:
    """Return the head that slot `fusion` is to hold, or None for the profile's own.

    Args:
        options: what the user chose; a checkpoint's description lies beside it.
        head_count: of each attention; None for what the description says.
        stats: the authors' stats.pt, for other ranges than the released ones.

    Raises:
        CheckpointError: the description or the stats cannot be read, or are of another profile.
    """
    if isinstance(options.weights, Checkpoint):
        described = _described(options.weights.path)
    elif head_count is None and stats is None:
        return None
    else:
        described = RELEASED
    if head_count is not None:
        described = replace(described, heads=head_count)
    if stats is not None:
        described = replace(described, ranges=read_stats(stats))
    _check_profile(described, options.profile)
    return slot(described)


def _described(checkpoint: Path) -> Description:
    """What the file beside the checkpoint says; without one it is the authors'."""
    path = checkpoint.with_name(description.FILE)
    return description.read(path) if path.is_file() else RELEASED


def _check_profile(described: Description, profile: str) -> None:
    if described.profile != profile:
        raise CheckpointError(
            f"this head takes features of profile {described.profile}, and the repository is to "
            f"hold profile {profile}. Export with --profile {described.profile}, or bring a head "
            f"that was trained on features of profile {profile}, with its {description.FILE}."
        )


def read_stats(path: Path) -> dict[str, tuple[float, float]]:
    """Return modality -> smallest and largest value from the authors' stats.pt.

    Raises:
        CheckpointError: it cannot be read, or lacks a feature.
    """
    from export.fusion.attention_head import UPSTREAM_NAMES
    from export.networks.state import read_checkpoint

    stats: dict[str, Any] = read_checkpoint(path)
    try:
        found = {
            modality: (float(stats[name]["min"]), float(stats[name]["max"]))
            for modality, name in UPSTREAM_NAMES.items()
        }
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} is not a stats.pt: {error!r}. It must hold {{feature: {{min, max}}}} for "
            f"{', '.join(UPSTREAM_NAMES.values())}."
        ) from error
    empty = [UPSTREAM_NAMES[modality] for modality, (low, high) in found.items() if not low < high]
    if empty:
        raise CheckpointError(f"{path}: min is not below max for {', '.join(empty)}")
    return found
