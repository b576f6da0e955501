"""Every slot's exported files, as they lie in the model repository, against the eager networks."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from export import configuration, parity
from export.configuration import CONFIG, REPOSITORY
from export.registry import PROFILES
from export.slots import face_expression
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
def test_the_model_answers_as_the_eager_network(name: str) -> None:
    slot: Slot = SLOTS[name]
    assert slot.network is not None
    eager = slot.pretrained.network(fetch_all(slot.pretrained.artifacts))
    cases = parity.references(slot.network, eager)
    found = parity.compare(name, slot.network, cases, exported(name))
    numeric = {tensor.name for tensor in slot.network.outputs if tensor.dtype != "string"}
    assert set(found) == numeric


@pytest.mark.parametrize("name", NETWORKS)
def test_sizes_left_open_in_the_configuration_are_open_in_the_model(name: str) -> None:
    """Native Triton refuses the model otherwise."""
    model = onnx.load(exported(name), load_external_data=False)
    configured = configuration.read(REPOSITORY / name / CONFIG)
    infos = [*model.graph.input, *model.graph.output]
    for info, tensor in zip(infos, [*configured.inputs, *configured.outputs], strict=True):
        sizes = [d.dim_value or configuration.VARIES for d in info.type.tensor_type.shape.dim]
        assert (info.name, sizes) == (tensor.name, [configuration.VARIES, *tensor.dims])


@pytest.mark.parametrize(("name", "path"), FILES)
def test_the_files_are_the_pinned_ones(name: str, path: str) -> None:
    assert checksum(exported(name, path)) == artifacts()[SLOTS[name].pretrained.files[path]].sha256


def test_the_exported_model_takes_the_same_decisions() -> None:
    session = parity.open_session(exported("face_expression"))
    eager = face_expression.load(fetch_all(face_expression.ARTIFACTS))
    network = face_expression.SLOT.network
    assert network is not None
    inputs = network.examples(16, 1)
    expected = parity.run_eager(network, eager, inputs)["PROBABILITIES"]
    (found,) = session.run(["PROBABILITIES"], inputs)
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))
    np.testing.assert_allclose(found, expected, atol=1e-5)
