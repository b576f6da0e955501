"""Every network of the paper profile, full size and at random, exported against eager float32.

docs/parity.md has the figures; `python -m tests.parity.table` prints them.
"""

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
CHOICES = [
    (name, chosen, precision)
    for name, slot in SLOTS.items()
    if slot.network
    for chosen in slot.network.formats
    for precision in slot.network.precisions
]
SEED = 0


@lru_cache(maxsize=1)
def eager(name: str) -> tuple[Network, torch.nn.Module, list[parity.Case]]:
    """A slot's network with random weights, and its answers; the tests come slot by slot."""
    network = SLOTS[name].network
    assert network is not None
    assert network.random is not None
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        module = network.random()
    return network, module, parity.references(network, module)


def measure(name: str, chosen: Format, precision: Precision, folder: Path) -> dict[str, float]:
    """The worst figure of each output; fails as the export itself would."""
    network, module, cases = eager(name)
    options = Options("paper", chosen, precision, Random(SEED))
    path = folder / chosen.filename
    write_network(name, network, module, options, path)
    return parity.compare(name, network, cases, path, precision)


@pytest.mark.parametrize(("name", "chosen", "precision"), CHOICES)
def test_the_exported_network_answers_as_the_eager_one(
    name: str, chosen: Format, precision: Precision, tmp_path: Path
) -> None:
    figures = measure(name, chosen, precision, tmp_path)
    network, module, cases = eager(name)
    assert set(figures) == set(cases[0].expected)
    if precision is Precision.FP32:
        assert max(figures.values()) <= 1e-4
    (tmp_path / chosen.filename).unlink()


def test_the_cases_are_batches_of_one_and_three_and_two_lengths_where_they_vary() -> None:
    for name, slot in SLOTS.items():
        assert slot.network is not None
        varies = any(isinstance(size, str) for t in slot.network.inputs for size in t.dims)
        assert slot.network.cases >= (2 if varies else 1), name
    assert parity.BATCHES == (1, 3)
