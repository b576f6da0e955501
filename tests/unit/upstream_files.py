"""features.pkl in the structure that VEMOCLAP's authors describe, made small."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

NAMES = {
    "clip": ("image", 512),
    "beats": ("audio", 768),
    "face_emotion": ("face", 768),
    "asr_sentiment": ("speech", 768),
    "ocr_sentiment": ("text", 768),
}
# Not in our order: labels go by name.
IDX_TO_LABEL = {0: "joy", 1: "anger", 2: "surprise", 3: "fear", 4: "sadness", 5: "disgust"}


def document(per_class: int = 4, classes: Sequence[int] = (0, 3)) -> dict[str, Any]:
    """Samples with what the authors' file holds; two classes by default."""
    source = torch.Generator().manual_seed(0)
    samples = {}
    for index in classes:
        for number in range(per_class):
            labels = torch.zeros(6)
            labels[index] = 1
            lengths = {"clip": 16, "beats": 20, "face_emotion": 3 * number}
            features = {
                name: torch.randn(lengths.get(name, 1), width, generator=source)
                for name, (_, width) in NAMES.items()
            }
            if number == 1:
                del features["ocr_sentiment"]
            samples[f"{IDX_TO_LABEL[index]}_{number}"] = {"labels": labels, "features": features}
    stats = {
        name: {key: torch.tensor(1.0) for key in ("min", "max", "mean", "std")} for name in NAMES
    }
    return {"samples": samples, "stats": stats, "idx_to_label": IDX_TO_LABEL}


def write(path: Path, content: Any, protocol: int = 4) -> Path:
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return path
