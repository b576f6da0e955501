"""Every slot's exported files, as they lie in the model repository, against what they came from."""

from pathlib import Path

import pytest

from export import parity
from export.building import supported
from export.configuration import REPOSITORY
from export.options import Options
from export.registry import PROFILES
from export.spec import Slot
from export.weights import artifacts, fetch_all
from export.weights.cache import checksum

SLOTS = PROFILES["embedded"]
NETWORKS = [name for name, slot in SLOTS.items() if slot.network]
FILES = [(name, path) for name, slot in SLOTS.items() for path in slot.pretrained.files]

pytestmark = pytest.mark.parity


def exported(slot: str, path: str = "1/model.onnx") -> Path:
    found = REPOSITORY / slot / path
    if not found.is_file():
        pytest.skip(f"{found} is missing; `make export` brings it")
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_the_model_answers_as_what_it_came_from(name: str) -> None:
    slot: Slot = SLOTS[name]
    assert slot.network is not None
    files = fetch_all(slot.pretrained.artifacts)
    if slot.pretrained.original:
        cases = parity.cases(slot.network, slot.pretrained.original(files))
    else:
        cases = parity.references(slot.network, slot.pretrained.network(files))
    precision = supported(slot, Options()).precision
    found = parity.compare(name, slot.network, cases, exported(name), precision)
    numeric = {tensor.name for tensor in slot.network.outputs if tensor.dtype != "string"}
    assert set(found) == numeric


@pytest.mark.parametrize(("name", "path"), FILES)
def test_the_files_are_the_pinned_ones(name: str, path: str) -> None:
    assert checksum(exported(name, path)) == artifacts()[SLOTS[name].pretrained.files[path]].sha256
