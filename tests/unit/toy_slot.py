"""A small network that stands in for the audio encoder, for exports that go wrong.

Run as a program, `python -m tests.unit.toy_slot FOLDER MARKER` exports it into FOLDER, makes the
file MARKER when the graph is written, and waits to be killed.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from export.cli import main
from export.networks.state import load_state, read_checkpoint
from export.options import Format, Precision
from export.registry import PROFILES
from export.slots import audio_encoder
from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, seeded

WINDOW = audio_encoder.WINDOW


class Toy(torch.nn.Module):
    """Peaks of the quarters, through a layer with random weights."""

    FLOAT32_PARTS = ("scale",)

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.LayerNorm(4)
        self.layer = torch.nn.Linear(4, 4)
        self.gain = torch.nn.Parameter(torch.ones(4))

    def forward(self, window: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        peaks = self.scale(window.reshape(-1, 4, WINDOW // 4).amax(2) + 1.0)
        # A tensor made here must lie where the input does.
        shift = torch.ones(window.shape[0], 1, device=window.device)
        mixed = self.layer(peaks.to(self.gain.dtype) * self.gain).float() + shift
        return mixed, mixed.mean(1, keepdim=True)


def build() -> torch.nn.Module:
    return Toy().eval()


def load(_: Files) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return build()


def restore(path: Path) -> torch.nn.Module:
    return load_state(build(), read_checkpoint(path), path)


def examples(batch: int, case: int) -> Arrays:
    random = np.random.default_rng([batch, case])
    return {"WINDOW": random.normal(size=(batch, WINDOW)).astype(np.float32)}


NETWORK = Network(
    inputs=(Tensor("WINDOW", "float32", (WINDOW,)),),
    outputs=(Tensor("FEATURES", "float32", (4,)), Tensor("EVENTS", "float32", (1,))),
    examples=examples,
    formats=tuple(Format),
    precisions=tuple(Precision),
)
TOY = Slot(
    "audio_encoder",
    __name__,
    NETWORK,
    pretrained=Builder(network=load),
    random=Builder(network=seeded(build)),
    checkpoint=Builder(network=restore),
    texts={"labels.txt": "Peak\n"},
)


def export_until_killed(folder: Path, marker: Path) -> int:
    def wait(*_: object) -> None:
        marker.touch()
        time.sleep(60)

    PROFILES["embedded"] = {TOY.name: replace(TOY, network=replace(NETWORK, finish=wait))}
    return main([TOY.name, "--force", "--out", str(folder)])


if __name__ == "__main__":
    sys.exit(export_until_killed(Path(sys.argv[1]), Path(sys.argv[2])))
