"""The Python-based backend `onnxruntime`: Triton's own, where only its Python backend is there.

It reads the same config.pbtxt as the native backend: `default_model_filename`, the instance's
kind and device, and the parameters and `optimization` that the native backend names.

Source: the parameters' names and meanings are those of triton-inference-server/onnxruntime_backend.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

GRAPH_LEVELS = {
    "-1": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "1": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "2": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
EXECUTION_MODES = {
    "0": ort.ExecutionMode.ORT_SEQUENTIAL,
    "1": ort.ExecutionMode.ORT_PARALLEL,
}
DECODE = np.frompyfunc(lambda value: value.decode(), 1, 1)


class TritonPythonModel:
    """One instance of one ONNX model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the model file on the instance's device."""
        config = json.loads(args["model_config"])
        filename = config.get("default_model_filename") or "model.onnx"
        path = Path(args["model_repository"]) / args["model_version"] / filename
        check_accelerators(config)
        self._session = ort.InferenceSession(
            path, session_options(config), providers=providers(args)
        )
        self._batches = config.get("max_batch_size", 0) > 0
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Runs all requests in one batch; where that fails, each alone, to name the culprit."""
        if len(requests) == 1 or not self._batches:
            return [self._run_alone(request) for request in requests]
        try:
            return self._run_together(requests)
        except Exception:
            return [self._run_alone(request) for request in requests]

    def _run_alone(self, request: Any) -> Any:
        try:
            outputs = self._run(self._read(request))
            return respond(request, outputs)
        except Exception as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))

    def _run_together(self, requests: list[Any]) -> list[Any]:
        feeds = [self._read(request) for request in requests]
        joined = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
        ends = np.cumsum([len(next(iter(feed.values()))) for feed in feeds])[:-1]
        split = {name: np.split(value, ends) for name, value in self._run(joined).items()}
        return [
            respond(request, {name: parts[index] for name, parts in split.items()})
            for index, request in enumerate(requests)
        ]

    def _read(self, request: Any) -> dict[str, NDArray[Any]]:
        tensors = {name: pb_utils.get_input_tensor_by_name(request, name) for name in self._inputs}
        # A request leaves out what the configuration calls optional.
        return {name: read_tensor(tensor) for name, tensor in tensors.items() if tensor is not None}

    def _run(self, feed: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return dict(zip(self._outputs, self._session.run(self._outputs, feed), strict=True))


def check_accelerators(config: dict[str, Any]) -> None:
    """Refuses an execution accelerator that would be left out in silence.

    Raises:
        RuntimeError: the configuration names one that only the native backend has.
    """
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    named = {item["name"] for group in accelerators.values() for item in group}
    if unknown := sorted(named - {"cuda"}):
        raise RuntimeError(
            f"{config['name']}: execution accelerator {', '.join(unknown)} needs Triton's native "
            "onnxruntime backend; remove it from config.pbtxt, or serve with NVIDIA's container."
        )


def session_options(config: dict[str, Any]) -> ort.SessionOptions:
    """ONNX Runtime's options from a model configuration."""
    parameters = {
        name: value["string_value"] for name, value in config.get("parameters", {}).items()
    }
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(parameters.get("intra_op_thread_count", 0))
    options.inter_op_num_threads = int(parameters.get("inter_op_thread_count", 0))
    options.execution_mode = EXECUTION_MODES[parameters.get("execution_mode", "0")]
    options.enable_cpu_mem_arena = parameters.get("enable_mem_arena", "1") == "1"
    options.enable_mem_pattern = parameters.get("enable_mem_pattern", "1") == "1"
    level = str(config.get("optimization", {}).get("graph", {}).get("level", 0))
    options.graph_optimization_level = GRAPH_LEVELS.get(
        level, ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    )
    # Each slot is a process with a pool of its own: threads that wait must not spin.
    spinning = parameters.get("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    options.log_severity_level = 3
    return options


def providers(args: dict[str, str]) -> list[Any]:
    """Execution providers for the device that `instance_group` names.

    Raises:
        RuntimeError: a GPU is asked for, and this ONNX Runtime was built without CUDA.
    """
    if args["model_instance_kind"] != "GPU":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        raise RuntimeError(
            f"{args['model_name']}: instance_group asks for a GPU, but the installed onnxruntime "
            "has no CUDAExecutionProvider; install onnxruntime-gpu."
        )
    device = {"device_id": args["model_instance_device_id"]}
    return [("CUDAExecutionProvider", device), "CPUExecutionProvider"]


def read_tensor(tensor: Any) -> NDArray[Any]:
    """An input as ONNX Runtime wants it: Triton's byte strings become text."""
    array: NDArray[Any] = tensor.as_numpy()
    return DECODE(array) if array.dtype == object else array


def respond(request: Any, outputs: dict[str, NDArray[Any]]) -> Any:
    """A response with the outputs that the request asks for."""
    wanted = request.requested_output_names()
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, outputs[name]) for name in outputs if name in wanted]
    )
