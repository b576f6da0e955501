"""Every network of the paper profile, full size and at random, exported against eager float32.

`make test-parity` prints the figures as the table that docs/parity.md has.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from export import parity, stamp
from export.building import build_of, write_network
from export.cli import main
from export.options import Format, Options, Precision, Random
from export.precision import quantise_onnx
from export.registry import PROFILES
from export.spec import Network

SLOTS = {
    name: slot
    for name, slot in PROFILES["paper"].items()
    # Those that come as ONNX files have no random weights: test_exported.py compares them.
    if slot.network and not (slot.pretrained and slot.pretrained.original)
}
SEED = 0
SLOW = (
    # float16 has no fast kernels on a processor.
    {(name, chosen, Precision.FP16) for name in SLOTS for chosen in Format}
    # The largest: 1.1 GB.
    | {("language_identifier", Format.ONNX, Precision.INT8)}
    # The same code writes the smaller ones, which take a third of the time.
    | {
        (name, Format.TORCHSCRIPT, precision)
        for name in ("image_encoder", "language_identifier", "caption_decoder")
        for precision in Precision
    }
)
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


@dataclass(frozen=True)
class Subject:
    """A slot's network with random weights, and what it answers."""

    network: Network
    eager: torch.nn.Module
    cases: list[parity.Case]


@lru_cache(maxsize=1)
def subject(name: str) -> Subject:
    """Of one slot at a time, since they are large: the tests come slot by slot."""
    network, random = SLOTS[name].network, SLOTS[name].random
    assert network is not None
    assert random is not None
    assert random.network is not None
    eager = random.network(SEED)
    return Subject(network, eager, parity.references(network, eager))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the ONNX graph in float32 of the slot at hand, from which int8 is made."""
    return tmp_path_factory.mktemp("graphs")


def exported(name: str, graphs: Path) -> Path:
    """The ONNX graph in float32, written once; those of other slots are removed, being large."""
    path = graphs / f"{name}.onnx"
    if not path.is_file():
        for other in graphs.iterdir():
            other.unlink()
        of = subject(name)
        write_network(name, of.network, of.eager, Options("paper", weights=Random(SEED)), path)
    return path


def write(name: str, chosen: Format, precision: Precision, graphs: Path, folder: Path) -> Path:
    """The network in this format and precision."""
    path = folder / chosen.filename
    if chosen is Format.ONNX and precision is not Precision.FP16:
        shutil.copy(exported(name, graphs), path)
        if precision is Precision.INT8:
            quantise_onnx(path)
    else:
        of = subject(name)
        options = Options("paper", chosen, precision, Random(SEED))
        write_network(name, of.network, of.eager, options, path)
    return path


def largest_int8(path: Path) -> int:
    """The largest magnitude among the graph's int8 weights.

    Without VNNI, two products of such a weight and an unsigned 8-bit activation are added in a
    signed 16-bit number.
    """
    weights = [
        numpy_helper.to_array(tensor).astype(np.int16)
        for tensor in onnx.load(path).graph.initializer
        if tensor.data_type == TensorProto.INT8
    ]
    return max(int(np.abs(weight).max()) for weight in weights)


@pytest.mark.parametrize(("name", "chosen", "precision"), CHOICES)
def test_the_exported_network_answers_as_the_eager_one(
    name: str,
    chosen: Format,
    precision: Precision,
    graphs: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    of = subject(name)
    path = write(name, chosen, precision, graphs, tmp_path)
    figures = parity.compare(name, of.network, of.cases, path, precision)
    if (chosen, precision) == (Format.ONNX, Precision.INT8):
        assert 2 * 255 * largest_int8(path) <= np.iinfo(np.int16).max
    path.unlink()
    record_property("parity", (name, str(chosen), str(precision), figures))
    assert set(figures) == set(of.cases[0].expected)
    if precision is Precision.FP32:
        assert max(figures.values()) <= 1e-4


def test_the_cases_are_batches_of_one_and_three_and_two_lengths_where_they_vary() -> None:
    for name, slot in SLOTS.items():
        assert slot.network is not None
        varies = any(isinstance(size, str) for t in slot.network.inputs for size in t.dims)
        assert slot.network.cases >= (2 if varies else 1), name
    assert parity.BATCHES == (1, 3)


def test_the_command_exports_the_slots_around_those_networks(tmp_path: Path) -> None:
    names = [name for name in PROFILES["paper"] if name not in SLOTS]
    assert {"speech_recognizer", "translator", "captioner"} <= set(names)
    options = ["--profile", "paper", "--weights", "random", "--out", str(tmp_path)]
    assert main([*options, *names]) == 0
    assert all(stamp.read(tmp_path / name)["weights"] == "random, seed 0" for name in names)


def test_the_files_beside_those_networks_are_written(tmp_path: Path) -> None:
    for name, slot in SLOTS.items():
        (tmp_path / name / "1").mkdir(parents=True)
        build_of(slot, Options("paper", weights=Random(SEED))).write({}, tmp_path / name)
    having = {path.relative_to(tmp_path).parts[0] for path in tmp_path.glob("*/tokenizer.json")}
    assert having >= {"text_encoder", "language_identifier"}
