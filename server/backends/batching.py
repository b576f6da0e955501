"""The base of both Python-based backends: one run for all requests that Triton hands over."""

import time
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from server.executions import EXECUTION
from server.slot_errors import ERROR_DELAY_S, ErrorResponses

Arrays = dict[str, NDArray[Any]]


class BatchedModel(ABC):
    """One instance of one model, as Triton's Python backend calls it."""

    def __init__(self) -> None:
        """Triton makes the object first, and initialises it then."""
        self._batches = False
        self._inputs: list[str] = []
        self._outputs: list[str] = []

    def read_configuration(self, config: dict[str, Any]) -> None:
        """Takes the names of slot and tensors, and whether requests share a batch."""
        self._errors = ErrorResponses(config["name"])
        self._batches = config.get("max_batch_size", 0) > 0
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]

    @abstractmethod
    def run(self, feed: Arrays) -> Arrays:
        """Runs the model on inputs by name; returns its outputs by name."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """Runs all requests in one batch; where that fails, each alone, to name the culprit."""
        with EXECUTION.running():
            if len(requests) == 1 or not self._batches:
                return self._run_each(requests)
            try:
                return self._run_together(requests)
            except Exception:
                return self._run_each(requests)

    def _run_each(self, requests: list[Any]) -> list[Any]:
        responses = [self._run_alone(request) for request in requests]
        if any(response.has_error() for response in responses):
            # Once for all of them: together they would look like a deadlock.
            time.sleep(ERROR_DELAY_S)
        return responses

    def _run_alone(self, request: Any) -> Any:
        try:
            return respond(request, self.run(self._read(request)))
        except Exception as error:
            return self._errors.make(error, request)

    def _run_together(self, requests: list[Any]) -> list[Any]:
        feeds = [self._read(request) for request in requests]
        joined = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
        ends = np.cumsum([len(next(iter(feed.values()))) for feed in feeds])[:-1]
        split = {name: np.split(value, ends) for name, value in self.run(joined).items()}
        return [
            respond(request, {name: parts[index] for name, parts in split.items()})
            for index, request in enumerate(requests)
        ]

    def _read(self, request: Any) -> Arrays:
        tensors = {name: pb_utils.get_input_tensor_by_name(request, name) for name in self._inputs}
        # A request leaves out what the configuration calls optional.
        return {name: tensor.as_numpy() for name, tensor in tensors.items() if tensor is not None}


def respond(request: Any, outputs: Arrays) -> Any:
    """A response with the outputs that the request asks for."""
    wanted = request.requested_output_names()
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, outputs[name]) for name in outputs if name in wanted]
    )


def parameters_of(config: dict[str, Any]) -> dict[str, str]:
    """The configuration's `parameters`, name -> value."""
    return {name: value["string_value"] for name, value in config.get("parameters", {}).items()}
