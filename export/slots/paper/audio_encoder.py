"""Slot `audio_encoder`: a window of sound -> BEATs' feature and AudioSet's events."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export.errors import CheckpointError
from export.options import Format, Precision
from export.slots import audio_encoder as embedded
from export.slots.audio_encoder import WINDOW
from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, generator, seeded
from export.weights import fetch

if TYPE_CHECKING:
    from export.networks.beats import AudioEncoder

FEATURES = 768
EVENTS = 527
CHECKPOINT = "beats_checkpoint"
NAMES = "audioset_ontology"

HISS = 1e-3
"""Deviation of the noise in the examples, -60 dB: what a quiet room leaves in a recording."""


def load(files: Files) -> AudioEncoder:
    """Return the encoder with the published weights, in evaluation mode."""
    return restore(files[CHECKPOINT])


def restore(path: Path) -> AudioEncoder:
    """Return the encoder of a checkpoint in the original format, in evaluation mode."""
    from export.networks import beats

    return beats.restore(path)


def random() -> AudioEncoder:
    """Return the full-size encoder with random weights, in evaluation mode."""
    from export.networks import beats

    return beats.random()


def examples(batch: int, case: int) -> Arrays:
    """Return the embedded profile's sounds with a hiss, their silences silent: [batch, 48000].

    Without it, most bands of a pure tone hold nothing but rounding errors, and the logarithm
    shows how a machine adds up rather than whether the network is the same.
    """
    sound = embedded.examples(batch, case)["WINDOW"]
    hiss = generator(batch, case, 1).normal(0, HISS, sound.shape).astype(np.float32)
    return {"WINDOW": np.where(sound == 0, sound, sound + hiss)}


def make(files: Files, folder: Path) -> None:
    """Write the events' names, in the checkpoint's order."""
    _write_labels(folder, event_names(files[CHECKPOINT], files[NAMES]))


def make_restored(checkpoint: Path, folder: Path) -> None:
    """Write the names of the events of a checkpoint that the user brings."""
    _write_labels(folder, event_names(checkpoint, fetch(NAMES)))


def make_random(_seed: int, folder: Path) -> None:
    """Write what passes for no real event's name."""
    _write_labels(folder, [f"event {index}" for index in range(EVENTS)])


def event_names(checkpoint: Path, names: Path) -> list[str]:
    """Return what AudioSet calls the checkpoint's classes, in order.

    Args:
        checkpoint: in the original format: its `label_dict` has the ids.
        names: AudioSet's class_labels_indices.csv. Its own order is another one.

    Raises:
        CheckpointError: `label_dict` is missing, incomplete, or has ids that AudioSet has not.
    """
    from export.networks import beats

    known = _read_names(names)
    identifiers = beats.label_ids(checkpoint)
    if unknown := [identifier for identifier in identifiers if identifier not in known]:
        raise CheckpointError(
            f"{checkpoint}: label_dict has {len(unknown)} ids that are not AudioSet's: "
            f"{', '.join(unknown[:8])}."
        )
    return [known[identifier] for identifier in identifiers]


def _read_names(path: Path) -> Mapping[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["mid"]: row["display_name"] for row in csv.DictReader(file)}


def _write_labels(folder: Path, names: list[str]) -> None:
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


SLOT = Slot(
    name="audio_encoder",
    module=__name__,
    network=Network(
        inputs=(Tensor("WINDOW", "float32", (WINDOW,)),),
        outputs=(
            Tensor("FEATURES", "float32", (FEATURES,)),
            Tensor("EVENTS", "float32", (EVENTS,)),
        ),
        examples=examples,
        cases=2,
        formats=(Format.ONNX, Format.TORCHSCRIPT),
        precisions=(Precision.FP32, Precision.FP16, Precision.INT8),
    ),
    pretrained=Builder(network=load, write=make, artifacts=(CHECKPOINT, NAMES)),
    random=Builder(network=seeded(random), write=make_random),
    checkpoint=Builder(network=restore, write=make_restored),
)
