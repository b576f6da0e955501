"""How slots are served and call each other, with a stand-in for Triton's Python module."""

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Semaphore
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar
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
NEED_TRITON = ("slot_errors", "slots.serving", "slots.entry_serving", "slots.stream_serving")


class Tensor:
    """Triton's tensor: a name and an array."""

    def __init__(self, name: str, array: NDArray[Any]) -> None:
        self._name, self._array = name, array

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> NDArray[Any]:
        return self._array


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = ModuleType("triton_python_backend_utils")
    module.Tensor, module.TritonError = Tensor, Mock()
    module.TRITONSERVER_MEMORY_CPU, module.TRITONSERVER_RESPONSE_COMPLETE_FINAL = 0, FINAL
    module.PreferredMemory = module.Logger = module.MetricFamily = Mock()
    module.InferenceRequest, module.InferenceResponse = Mock(), SimpleNamespace
    module.get_input_tensor_by_name = lambda request, name: request.tensors.get(name)
    module.get_output_tensor_by_name = Mock()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in NEED_TRITON:
        monkeypatch.setitem(sys.modules, f"server.{name}", Mock())
        del sys.modules[f"server.{name}"]
    return module


@pytest.mark.parametrize("message", ["short", "begin" + 999 * "-" + "end"])
def test_an_error_is_cut_to_what_grpc_takes(message: str, triton: Any) -> None:
    errors = importlib.import_module("server.slot_errors")
    cut = errors.shortened(message)
    assert len(cut) == min(len(message), errors.MESSAGE_AT_MOST - 1)
    assert (cut[:5], cut[-3:]) == (message[:5], message[-3:])


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
    count = 2 * stream._admission.limits.clips_at_once
    for number in range(count):
        stream.execute([request])
        wait_until(lambda number=number: sender.send.call_count == 2 * (number + 1))  # type: ignore[misc]
    responses = sender.send.call_args_list
    for failure, final in zip(responses[::2], responses[1::2], strict=True):
        assert failure.args[0].error
        assert final.kwargs == {"flags": FINAL}


def test_a_stream_that_waits_for_room_ends_when_it_is_cancelled(stream: Any) -> None:
    stream._room = asyncio.Semaphore(0)
    request = request_of_one_clip()
    sender = request.get_response_sender()
    stream.execute([request])
    assert sum(stream._admission._clips) == 1
    sender.is_cancelled.return_value = True
    wait_until(lambda: not sum(stream._admission._clips), 20)
    assert [call.kwargs for call in sender.send.call_args_list] == [{"flags": FINAL}]
    assert stream._room.locked(), "room was given back that had not been taken"


@pytest.fixture
def entry(triton: Any) -> Iterator[Any]:
    """An entry that admits one clip at a time and lets three wait, and answers on demand."""
    serving = importlib.import_module("server.slots.entry_serving")

    class Toy(serving.Entry):  # type: ignore[misc, name-defined]
        begun: ClassVar[list[Any]] = []
        may_answer: ClassVar[Semaphore] = Semaphore(0)

        async def respond(self, request: Any, sender: Any) -> None:
            self.begun.append(request)
            await asyncio.to_thread(self.may_answer.acquire)

    limits = {"clips_at_once": 1, "clips_waiting": 3}
    parameters = {name: {"string_value": str(value)} for name, value in limits.items()}
    parameters[ENSEMBLE_PARAMETER] = {"string_value": "any"}
    model = Toy()
    model.initialize(
        {
            "model_name": "toy",
            "model_config": json.dumps({"name": "toy", "parameters": parameters}),
        }
    )
    yield model
    model.may_answer.release(9)
    model.finalize()


def request_of_one_clip() -> Any:
    request = Mock(inputs=Mock(return_value=[Tensor("any", np.zeros((1, 8), np.uint8))]))
    request.get_response_sender().is_cancelled.return_value = False
    return request


def test_requests_begin_in_their_order_and_one_that_is_cancelled_never(entry: Any) -> None:
    first, *waiting = requests = [request_of_one_clip() for _ in range(4)]
    entry.execute(requests)
    cancelled = waiting[1].get_response_sender()
    cancelled.is_cancelled.return_value = True
    wait_until(lambda: cancelled.send.called)
    assert entry.begun == [first]
    entry.execute([last := request_of_one_clip()])
    entry.execute([refused := request_of_one_clip()])
    assert refused.get_response_sender().send.called
    for count, expected in enumerate([first, waiting[0], waiting[2], last], 1):
        wait_until(lambda count=count: len(entry.begun) == count, 20)  # type: ignore[misc]
        assert entry.begun[-1] is expected
        entry.may_answer.release()
    wait_until(lambda: not sum(entry._admission._clips), 20)
    assert not sum(entry._admission._clips_waiting)


def test_a_request_without_clips_makes_room_again(entry: Any) -> None:
    # Triton 2.51 does not hand it over; another release might.
    empty, other = Mock(), request_of_one_clip()
    empty.inputs.return_value = [Tensor("any", np.zeros((0, 8), np.uint8))]
    entry.execute([empty, other])
    for request in (empty, other):
        wait_until(lambda request=request: entry.begun[-1:] == [request], 20)  # type: ignore[misc]
        entry.may_answer.release()
    wait_until(lambda: not sum(entry._admission._clips), 20)
