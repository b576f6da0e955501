"""Serves a PythonSlot as a Triton Python model. This and stream_model alone need Triton."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from server.slots.slot import CPU, Device, PythonSlot, Tensors

ERROR_DELAY_S = 0.25
"""Triton 2.51 locks up for good when a step of an ensemble answers with an error while the
request's other steps are still being queued, which takes less than this."""

MESSAGE_AT_MOST = 500
"""Characters of an error: gRPC loses those that do not fit into its headers of 8 KB."""


def triton_model(step_class: type[PythonSlot]) -> type:
    """The class that a slot's model.py must call `TritonPythonModel`."""

    class TritonPythonModel:
        """One instance of the slot."""

        def initialize(self, args: dict[str, str]) -> None:
            """Makes the step; types come from the slot's configuration."""
            config = json.loads(args["model_config"])
            self._inputs = [tensor["name"] for tensor in config["input"]]
            self._types = {
                tensor["name"]: pb_utils.triton_string_to_numpy(tensor["data_type"])
                for tensor in config["output"]
            }
            self._step = step_class(
                Path(args["model_repository"]) / args["model_version"], _device(args)
            )

        async def execute(self, requests: list[Any]) -> list[Any]:
            """One response per request. While one clip waits for another slot, the next runs."""
            return await asyncio.gather(*(self._respond(request) for request in requests))

        async def _respond(self, request: Any) -> Any:
            try:
                clips = _split(request, self._inputs)
                answers = await asyncio.gather(*(self._step.run(clip, infer) for clip in clips))
                return pb_utils.InferenceResponse(_join(answers, self._types))
            except Exception as error:
                await asyncio.sleep(ERROR_DELAY_S)
                return error_response(error)

    return TritonPythonModel


def error_response(error: Exception) -> Any:
    """The response that tells a request's sender of `error`."""
    message = f"{type(error).__name__}: {error}"[:MESSAGE_AT_MOST]
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message))


def _device(args: dict[str, str]) -> Device:
    if args["model_instance_kind"] != "GPU":
        return CPU
    return Device("cuda", int(args["model_instance_device_id"]))


def _split(request: Any, names: list[str]) -> list[Tensors]:
    """A request's clips, each without the batch dimension."""
    tensors = {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in names}
    count = len(tensors[names[0]])
    return [{name: array[index] for name, array in tensors.items()} for index in range(count)]


def _join(answers: Sequence[Tensors], types: Mapping[str, Any]) -> list[Any]:
    return [
        pb_utils.Tensor(
            name, np.stack([answer[name] for answer in answers]).astype(dtype, copy=False)
        )
        for name, dtype in types.items()
    ]


async def infer(
    slot: str,
    inputs: Mapping[str, NDArray[Any]],
    outputs: Sequence[str],
    received: Mapping[int, Any] = MappingProxyType({}),
) -> Tensors:
    """Asks another slot of this server; see step.Infer.

    Args:
        slot: asked for `outputs`.
        inputs: batch-first.
        outputs: names.
        received: id of an array -> the request's tensor that it is a view of. Such a tensor is
            handed on as it is under its own name; any other array is copied to shared memory.

    Raises:
        pb_utils.TritonModelException: the slot answered with an error.
    """
    request = pb_utils.InferenceRequest(
        model_name=slot,
        requested_output_names=list(outputs),
        inputs=[
            received.get(id(array)) or pb_utils.Tensor(name, np.ascontiguousarray(array))
            for name, array in inputs.items()
        ],
        # A native backend on a GPU would answer in its memory, from which there is no as_numpy().
        preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
    )
    response = await request.async_exec()
    if response.has_error():
        raise pb_utils.TritonModelException(f"slot {slot}: {response.error().message()}")
    return {name: pb_utils.get_output_tensor_by_name(response, name).as_numpy() for name in outputs}
