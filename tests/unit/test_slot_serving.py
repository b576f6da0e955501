"""How slots are served and call each other, with a stand-in for Triton's Python module."""

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from server.slots.slot import ReceivedTensor
from vemoclap_client import contract

CLIP = {
    contract.FRAMES: np.zeros((1, 16, 8, 8, 3), np.uint8),
    contract.AUDIO: np.zeros((1, 0), np.float32),
}
REPOSITORY = Path(__file__).parents[2] / "model_repository"


class Tensor:
    """Triton's tensor: a name and an array."""

    def __init__(self, name: str, array: NDArray[Any]) -> None:
        self._name, self._array = name, array

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> NDArray[Any]:
        return self._array


class Response:
    """A response with tensors or an error."""

    def __init__(self, tensors: list[Tensor] | None = None, error: Any = None) -> None:
        self.arrays = {tensor.name(): tensor.as_numpy() for tensor in tensors or []}
        self.failure = error

    def has_error(self) -> bool:
        return self.failure is not None


class Request:
    """A request to the stream, which is also the sender of its responses."""

    def __init__(self, tensors: dict[str, NDArray[Any]], parameters: str = "") -> None:
        self.tensors = {name: Tensor(name, array) for name, array in tensors.items()}
        self._parameters = parameters
        self.sent: list[Response] = []
        self.final = False

    def parameters(self) -> str:
        return self._parameters

    def get_response_sender(self) -> "Request":
        return self

    def is_cancelled(self) -> bool:
        return False

    def send(self, response: Response | None = None, flags: int = 0) -> None:
        assert not self.final
        self.sent += [response] if response else []
        self.final = bool(flags)


class Unanswerable(Request):
    """A request to which no response can be sent."""

    def get_response_sender(self) -> Request:
        raise RuntimeError("gone")


class Calls:
    """The calls of other slots; each responds with one zero for an output."""

    def __init__(self) -> None:
        self.inputs: dict[str, list[Tensor]] = {}

    def __call__(
        self, model_name: str, requested_output_names: list[str], inputs: list[Tensor], **_: Any
    ) -> "Calls":
        self.inputs[model_name] = inputs
        self._response = Response([Tensor(name, np.zeros(1)) for name in requested_output_names])
        return self

    async def async_exec(self) -> Response:
        return self._response


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    module: Any = ModuleType("triton_python_backend_utils")
    module.Tensor, module.InferenceResponse, module.TritonError = Tensor, Response, str
    module.InferenceRequest = Calls()
    module.PreferredMemory = lambda *_: None
    module.TRITONSERVER_MEMORY_CPU = 0
    module.TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
    module.get_input_tensor_by_name = lambda request, name: request.tensors.get(name)
    module.get_output_tensor_by_name = lambda response, name: Tensor(name, response.arrays[name])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield module
    for name in ("server.slots.serving", "server.slots.stream_serving"):
        sys.modules.pop(name, None)


def test_a_received_tensor_is_handed_on_under_its_own_name_only(triton: Any) -> None:
    serving = importlib.import_module("server.slots.serving")
    array = np.arange(3)
    frames = Tensor("FRAMES", array)
    received = ReceivedTensor(array, frames)
    inputs = {"FRAMES": received, "IMAGES": received, "SAME": array}
    asyncio.run(serving.infer("face_analyzer", inputs, ["FEATURES"]))
    own, other, same = triton.InferenceRequest.inputs["face_analyzer"]
    assert own is frames
    assert [tensor.name() for tensor in (other, same)] == ["IMAGES", "SAME"]
    np.testing.assert_array_equal(other.as_numpy(), array)


@pytest.fixture
def stream(triton: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    module = importlib.import_module("server.slots.stream_serving")
    monkeypatch.setattr(module, "CLIPS_AT_ONCE", 1)
    model = module.StreamModel()
    config = {"output": [{"name": contract.STEP}, {"name": contract.EVIDENCE}]}
    model.initialize(
        {
            "model_config": json.dumps(config),
            "model_repository": str(REPOSITORY / contract.STREAM),
        }
    )
    yield model
    model.finalize()


@pytest.mark.parametrize(
    "broken", [Request({}), Request(CLIP, parameters="{"), Unanswerable(CLIP)], ids=str
)
def test_a_request_without_a_run_ends_with_an_error_and_makes_room(
    broken: Request, stream: Any
) -> None:
    stream.execute([broken])
    assert stream._room.acquire(timeout=5)
    if not isinstance(broken, Unanswerable):
        assert broken.final
        assert [response.has_error() for response in broken.sent] == [True]
