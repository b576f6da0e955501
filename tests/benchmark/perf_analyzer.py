"""The clips as an input file of NVIDIA's perf_analyzer, which then measures the ensemble itself.

Source: the format is that of perf_analyzer's documentation, "Input Data" (--input-data).
"""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmark.clips import Clip
from vemoclap_client.contract import AUDIO, ENTRY, FRAMES

COMMAND = (
    "perf_analyzer -m {ensemble} -i grpc -u 127.0.0.1:8001 --input-data {path} "
    "--concurrency-range 1:16:5 --measurement-mode count_windows --measurement-request-count 16"
)


def write_input(clips: Sequence[Clip], path: Path) -> str:
    """Writes the file; returns the command that reads it."""
    data = [
        {FRAMES: _tensor(clip.frames), AUDIO: _tensor(_not_empty(clip.audio))} for clip in clips
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"data": data}), encoding="utf-8")
    return COMMAND.format(ensemble=ENTRY, path=path)


def _not_empty(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """One silent sample where there is no sound: perf_analyzer 2.40 crashes on empty tensors."""
    return audio if len(audio) else np.zeros(1, np.float32)


def _tensor(array: NDArray[Any]) -> dict[str, Any]:
    """An input without its batch dimension, which perf_analyzer adds."""
    encoded = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    return {"content": {"b64": encoded}, "shape": list(array.shape)}
