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

from server.slots.slot import ReceivedTensor
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
    for name in ("server.slots.serving", "server.slots.stream_serving"):
        sys.modules.pop(name, None)


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
def stream(triton: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    module = importlib.import_module("server.slots.stream_serving")
    monkeypatch.setattr(module, "CLIPS_AT_ONCE", 1)
    model = module.StreamModel()
    config = json.dumps({"output": [{"name": contract.STEP}]})
    model.initialize(
        {
            "model_name": contract.STREAM,
            "model_config": config,
            "model_repository": str(REPOSITORY / contract.STREAM),
        }
    )
    yield model
    model.finalize()


@pytest.mark.parametrize("broken", ["tensors", "parameters", "sender"])
def test_a_request_that_cannot_be_run_ends_with_an_error_and_makes_room(
    broken: str, stream: Any
) -> None:
    array = np.zeros((1, 0), np.float32)
    tensors = {name: Tensor(name, array) for name in (contract.FRAMES, contract.AUDIO)}
    request = Mock(
        tensors={} if broken == "tensors" else tensors,
        parameters=Mock(return_value="{" if broken == "parameters" else ""),
    )
    if broken == "sender":
        request.get_response_sender.side_effect = RuntimeError
    stream.execute([request])
    assert stream._room.acquire(timeout=5)
    if broken != "sender":
        failure, final = request.get_response_sender().send.call_args_list
        assert failure.args[0].error
        assert final.kwargs == {"flags": FINAL}
