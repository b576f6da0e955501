"""Every network of the paper profile, full size and at random, exported against eager float32.

docs/parity.md has the figures; `python -m tests.parity.table` prints them.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
import torch

from export import parity
from export.exporting import write_network
from export.options import Format, Options, Precision, Random
from export.registry import PROFILES
from export.spec import Network

SLOTS = {name: slot for name, slot in PROFILES["paper"].items() if slot.network}
SLOW = {
    # float16 has no fast kernels on a processor; the largest network is 1.1 GB.
    ("image_encoder", Format.TORCHSCRIPT, Precision.FP16),
    ("audio_encoder", Format.TORCHSCRIPT, Precision.FP16),
    ("face_detector", Format.TORCHSCRIPT, Precision.FP16),
    ("language_identifier", Format.ONNX, Precision.FP16),
    ("language_identifier", Format.ONNX, Precision.INT8),
    ("language_identifier", Format.TORCHSCRIPT, Precision.FP16),
    ("language_identifier", Format.TORCHSCRIPT, Precision.INT8),
}
CHOICES = [
    pytest.param(
        *(name, chosen, precision),
        marks=[pytest.mark.slow] if (name, chosen, precision) in SLOW else [],
    )
    for name, slot in SLOTS.items()
    if slot.network
    for chosen in slot.network.formats
    for precision in slot.network.precisions
]
SEED = 0


@dataclass(frozen=True)
class Subject:
    """A slot's network with random weights, and what it answers."""

    network: Network
    eager: torch.nn.Module
    cases: list[parity.Case]


@lru_cache(maxsize=1)
def subject(name: str) -> Subject:
    """Of one slot at a time, since they are large: the tests come slot by slot."""
    network = SLOTS[name].network
    assert network is not None
    assert network.random is not None
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        eager = network.random()
    return Subject(network, eager, parity.references(network, eager))


def measure(name: str, chosen: Format, precision: Precision, folder: Path) -> dict[str, float]:
    """The worst figure of each output; fails as the export itself would."""
    of = subject(name)
    path = folder / chosen.filename
    write_network(
        name, of.network, of.eager, Options("paper", chosen, precision, Random(SEED)), path
    )
    try:
        return parity.compare(name, of.network, of.cases, path, precision)
    finally:
        path.unlink()


@pytest.mark.parametrize(("name", "chosen", "precision"), CHOICES)
def test_the_exported_network_answers_as_the_eager_one(
    name: str, chosen: Format, precision: Precision, tmp_path: Path
) -> None:
    figures = measure(name, chosen, precision, tmp_path)
    assert set(figures) == set(subject(name).cases[0].expected)
    if precision is Precision.FP32:
        assert max(figures.values()) <= 1e-4


def test_the_cases_are_batches_of_one_and_three_and_two_lengths_where_they_vary() -> None:
    for name, slot in SLOTS.items():
        assert slot.network is not None
        varies = any(isinstance(size, str) for t in slot.network.inputs for size in t.dims)
        assert slot.network.cases >= (2 if varies else 1), name
    assert parity.BATCHES == (1, 3)
