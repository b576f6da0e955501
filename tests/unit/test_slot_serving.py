"""How slots are served and call each other, with a stand-in for Triton's Python module."""

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

import numpy as np
import pytest
from numpy.typing import NDArray

from server.slots.admission import ENSEMBLE_PARAMETER
from server.slots.slot import ReceivedTensor
from tests.launching import wait_until
from vemoclap_client import contract

REPOSITORY = Path(__file__).parents[2] / "model_repository"
FINAL = 1


class Tensor:
    """Triton's tensor: a name and an array."""

    def __init__(self, name: str, array: NDArray[Any]) -> None:
        self._name, self._array = name, array

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> NDArray[Any]:
        return self._array


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    module: Any = ModuleType("triton_python_backend_utils")
    module.Tensor, module.TritonError = Tensor, str
    module.TRITONSERVER_MEMORY_CPU, module.TRITONSERVER_RESPONSE_COMPLETE_FINAL = 0, FINAL
    module.PreferredMemory = module.Logger = module.MetricFamily = Mock()
    module.InferenceRequest, module.InferenceResponse = Mock(), SimpleNamespace
    module.get_input_tensor_by_name = lambda request, name: request.tensors.get(name)
    module.get_output_tensor_by_name = Mock()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield module
    for name in ("serving", "entry_serving", "stream_serving"):
        sys.modules.pop(f"server.slots.{name}", None)


def test_a_received_tensor_is_handed_on_under_its_own_name_only(triton: Any) -> None:
    response = Mock(has_error=Mock(return_value=False))
    triton.InferenceRequest.return_value.async_exec = AsyncMock(return_value=response)
    serving = importlib.import_module("server.slots.serving")
    array = np.arange(3)
    frames = Tensor("FRAMES", array)
    received = ReceivedTensor(array, frames)
    inputs = {"FRAMES": received, "IMAGES": received, "SAME": array}
    asyncio.run(serving.infer("face_analyzer", inputs, ["FEATURES"]))
    own, other, same = triton.InferenceRequest.call_args.kwargs["inputs"]
    assert own is frames
    assert [tensor.name() for tensor in (other, same)] == ["IMAGES", "SAME"]
    np.testing.assert_array_equal(other.as_numpy(), array)


@pytest.fixture
def stream(triton: Any) -> Iterator[Any]:
    model = importlib.import_module("server.slots.stream_serving").StreamModel()
    config = {
        "name": contract.STREAM,
        "output": [{"name": contract.STEP}],
        "parameters": {ENSEMBLE_PARAMETER: {"string_value": contract.ENSEMBLE}},
    }
    model.initialize(
        {
            "model_name": contract.STREAM,
            "model_config": json.dumps(config),
            "model_repository": str(REPOSITORY / contract.STREAM),
        }
    )
    yield model
    model.finalize()


@pytest.mark.parametrize("broken", ["tensors", "parameters"])
def test_a_request_that_cannot_be_run_ends_with_an_error_and_makes_room(
    broken: str, stream: Any
) -> None:
    array = np.zeros((1, 0), np.float32)
    tensors = {name: Tensor(name, array) for name in (contract.FRAMES, contract.AUDIO)}
    request = Mock(
        tensors={} if broken == "tensors" else tensors,
        inputs=Mock(return_value=list(tensors.values())),
        parameters=Mock(return_value="{" if broken == "parameters" else ""),
    )
    sender = request.get_response_sender()
    sender.is_cancelled.return_value = False
    # As many as could not be at work at once.
    count = 2 * stream._admission.limits.clips
    for number in range(count):
        stream.execute([request])
        wait_until(lambda number=number: sender.send.call_count == 2 * (number + 1))  # type: ignore[misc]
    responses = sender.send.call_args_list
    for failure, final in zip(responses[::2], responses[1::2], strict=True):
        assert failure.args[0].error
        assert final.kwargs == {"flags": FINAL}
