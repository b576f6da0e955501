"""Serves a PythonSlot as a Triton Python model. Of the slots, *serving.py alone need Triton."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from server import memory
from server.executions import EXECUTION
from server.slot_errors import ERROR_DELAY_S, ErrorResponses
from server.slots.slot import (
    CPU,
    THREADS_PARAMETER,
    Device,
    Infer,
    OverloadedError,
    PythonSlot,
    ReceivedTensor,
    Tensors,
    Value,
)
from vemoclap_client.contract import TOO_MUCH_TO_DO


def triton_model(slot_class: type[PythonSlot]) -> type:
    """The class for the name `TritonPythonModel` in the slot's model.py."""
    memory.keep_for_next_frame()

    class TritonPythonModel:
        """One instance of the slot."""

        def initialize(self, args: dict[str, str]) -> None:
            """Makes the slot's object; the outputs' types come from the slot's configuration."""
            config = json.loads(args["model_config"])
            self._inputs = [tensor["name"] for tensor in config["input"]]
            self._types = {
                tensor["name"]: pb_utils.triton_string_to_numpy(tensor["data_type"])
                for tensor in config["output"]
            }
            self._errors = ErrorResponses(args["model_name"])
            self._slot = slot_class(
                Path(args["model_repository"]) / args["model_version"], _device(args, config)
            )

        async def execute(self, requests: list[Any]) -> list[Any]:
            """One response per request. During one clip's calls of other slots, others run."""
            with EXECUTION.running():
                return await asyncio.gather(*(self._respond(request) for request in requests))

        async def _respond(self, request: Any) -> Any:
            calls = calls_of(request, request.trace())
            try:
                clips = _split(request, self._inputs)
                outputs = await asyncio.gather(*(self._slot.run(clip, calls) for clip in clips))
                return pb_utils.InferenceResponse(_join(outputs, self._types))
            except Exception as error:
                await asyncio.sleep(ERROR_DELAY_S)
                return self._errors.make(error, request)

    return TritonPythonModel


def _device(args: dict[str, str], config: dict[str, Any]) -> Device:
    if args["model_instance_kind"] == "GPU":
        return Device("cuda", int(args["model_instance_device_id"]))
    parameters = config.get("parameters", {})
    given = parameters.get(THREADS_PARAMETER)
    return Device("cpu", threads=int(given["string_value"])) if given else CPU


def _split(request: Any, names: list[str]) -> list[Tensors]:
    """The inputs of each clip of a request, without the batch dimension."""
    tensors = {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in names}
    count = len(tensors[names[0]])
    return [{name: array[index] for name, array in tensors.items()} for index in range(count)]


def _join(clips: Sequence[Tensors], types: Mapping[str, Any]) -> list[Any]:
    """The clips' outputs as Triton's tensors, with a batch dimension."""
    return [
        pb_utils.Tensor(name, np.stack([clip[name] for clip in clips]).astype(dtype, copy=False))
        for name, dtype in types.items()
    ]


def calls_of(request: Any, trace: Any = None) -> Infer:
    """`infer` for the calls that a request needs: they have its id and, if given, its trace."""
    origin = {"request_id": request.request_id()} | ({} if trace is None else {"trace": trace})
    return partial(infer, origin=origin)


async def infer(
    slot: str,
    inputs: Mapping[str, Value],
    outputs: Sequence[str],
    origin: Mapping[str, Any] = MappingProxyType({}),
) -> Tensors:
    """Calls another slot of this server; see slot.Infer.

    Raises:
        OverloadedError: the slot's queue is full, or the request was in it for too long.
        pb_utils.TritonModelException: the slot responded with another error.
    """
    request = pb_utils.InferenceRequest(
        model_name=slot,
        requested_output_names=list(outputs),
        inputs=[_tensor(name, value) for name, value in inputs.items()],
        preferred_memory=cpu_memory(),
        **origin,
    )
    with EXECUTION.calling():
        response = await request.async_exec()
    if response.has_error():
        message = f"slot {slot}: {response.error().message()}"
        if any(words in message.lower() for words in TOO_MUCH_TO_DO):
            raise OverloadedError(message)
        raise pb_utils.TritonModelException(message)
    return {name: pb_utils.get_output_tensor_by_name(response, name).as_numpy() for name in outputs}


def cpu_memory() -> Any:
    """A native backend on a GPU would answer in its memory, from which there is no as_numpy()."""
    return pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0)


def _tensor(name: str, value: Value) -> Any:
    """Triton's tensor of this name; a copy in shared memory, unless it was received as such."""
    if isinstance(value, ReceivedTensor):
        if value.tensor.name() == name:
            return value.tensor
        value = value.array
    return pb_utils.Tensor(name, np.ascontiguousarray(value))
