"""Reads weights in TensorFlow.js's format: one binary file and a JSON file that describes it.

Source: TensorFlow.js, "Model format": every weight follows the one before it in the binary file,
row-major; a quantised one is uint8 and stands for value * scale + min.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

Weights = dict[str, torch.Tensor]


def load(layout: Path, binary: Path) -> Weights:
    """Return name -> float32 tensor, in TensorFlow's axis order.

    Args:
        layout: the weights manifest, JSON, of one group.
        binary: what it describes.

    Raises:
        ValueError: the two do not belong together.
    """
    (group,) = json.loads(layout.read_text(encoding="utf-8"))
    content = binary.read_bytes()
    weights: Weights = {}
    offset = 0
    for entry in group["weights"]:
        values, used = _read(entry, content, offset)
        weights[entry["name"]] = torch.from_numpy(values)
        offset += used
    if offset != len(content):
        raise ValueError(
            f"{layout.name} describes {offset} bytes, {binary.name} has {len(content)}"
        )
    return weights


def _read(entry: dict[str, Any], content: bytes, offset: int) -> tuple[Any, int]:
    """Return one weight as float32 and the number of bytes it takes."""
    count = int(np.prod(entry["shape"], dtype=np.int64))
    quantization = entry.get("quantization")
    stored = np.frombuffer(content, np.uint8 if quantization else np.float32, count, offset)
    # In double precision, as in JavaScript: a weight near zero is a small difference of large ones.
    values = stored.astype(np.float64)
    if quantization:
        values = values * quantization["scale"] + quantization["min"]
    return values.astype(np.float32).reshape(entry["shape"]), stored.nbytes


def convolution(kernel: torch.Tensor) -> torch.Tensor:
    """TensorFlow's [height, width, in, out] -> PyTorch's [out, in, height, width]."""
    return kernel.permute(3, 2, 0, 1)


def depthwise_convolution(kernel: torch.Tensor) -> torch.Tensor:
    """TensorFlow's [height, width, channels, 1] -> PyTorch's [channels, 1, height, width]."""
    return kernel.permute(2, 3, 0, 1)
