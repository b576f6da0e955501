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

from server.backends.batching import Arrays, BatchedModel, parameters_of
from server.backends.onnx_metadata import read_metadata

GRAPH_LEVELS = {
    "-1": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "1": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "2": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
EXECUTION_MODES = {
    "0": ort.ExecutionMode.ORT_SEQUENTIAL,
    "1": ort.ExecutionMode.ORT_PARALLEL,
}
ACCELERATORS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
}
"""The native backend's name -> ONNX Runtime's, the preferred first."""

TENSORRT_OPTIONS = {"max_workspace_size_bytes": "trt_max_workspace_size"}
"""The native backend's name of a parameter -> ONNX Runtime's, where they differ."""

DISABLED_OPTIMIZERS = "disabled_optimizers"
"""Key in an ONNX file's metadata: passes of ONNX Runtime that must not run on it, by commas."""

ITEMS_AT_ONCE = "items_at_once"
"""Our own parameter: so many items of a batch are computed at once, the rest after them. On a
processor, a convolution over more pictures than fit into its cache is slower and needs memory for
all of them. The native backend ignores it."""

DECODE = np.frompyfunc(lambda value: value.decode(), 1, 1)


class TritonPythonModel(BatchedModel):
    """One instance of one ONNX model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the model file on the instance's device."""
        config = json.loads(args["model_config"])
        self.read_configuration(config)
        self._at_once = int(parameters_of(config).get(ITEMS_AT_ONCE, 0))
        filename = config.get("default_model_filename") or "model.onnx"
        folder = Path(args["model_repository"]) / args["model_version"]
        self._session = ort.InferenceSession(
            folder / filename,
            session_options(config),
            providers=providers(args, config),
            disabled_optimizers=disabled_optimizers(folder / filename),
        )

    def run(self, feed: Arrays) -> Arrays:
        """Runs the graph; Triton's byte strings become text."""
        texts = {
            name: DECODE(array) if array.dtype == object else array for name, array in feed.items()
        }
        parts = [self._session.run(self._outputs, part) for part in _parts(texts, self._at_once)]
        joined = map(np.concatenate, zip(*parts, strict=True)) if len(parts) > 1 else parts[0]
        return dict(zip(self._outputs, joined, strict=True))


def _parts(batch: Arrays, size: int) -> list[Arrays]:
    """The batch in parts of so many items; 0: all in one."""
    count = len(next(iter(batch.values())))
    if not 0 < size < count:
        return [batch]
    starts = range(0, count, size)
    return [{name: array[i : i + size] for name, array in batch.items()} for i in starts]


def accelerators(config: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The configuration's execution accelerators: name -> its parameters.

    Raises:
        RuntimeError: it names one that would be left out in silence.
    """
    groups = config.get("optimization", {}).get("execution_accelerators", {})
    named = {
        item["name"]: item.get("parameters", {}) for group in groups.values() for item in group
    }
    if unknown := sorted(named.keys() - ACCELERATORS.keys()):
        raise RuntimeError(
            f"{config['name']}: execution accelerator {', '.join(unknown)} needs Triton's native "
            "onnxruntime backend; remove it from config.pbtxt, or serve with NVIDIA's container."
        )
    return named


def session_options(config: dict[str, Any]) -> ort.SessionOptions:
    """ONNX Runtime's options from a model configuration."""
    parameters = parameters_of(config)
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


def providers(args: dict[str, str], config: dict[str, Any]) -> list[Any]:
    """Execution providers for the device that `instance_group` names, and the accelerators.

    Raises:
        RuntimeError: the device or an accelerator is asked for, and this ONNX Runtime was built
            without it.
    """
    named = accelerators(config)
    if args["model_instance_kind"] != "GPU":
        return ["CPUExecutionProvider"]
    device = {"device_id": args["model_instance_device_id"]}
    wanted = {
        ACCELERATORS[name]: device | options_for(name, given)
        for name, given in ({name: named[name] for name in ACCELERATORS if name in named}).items()
    }
    wanted.setdefault("CUDAExecutionProvider", device)
    if missing := sorted(wanted.keys() - set(ort.get_available_providers())):
        raise RuntimeError(
            f"{args['model_name']}: the configuration asks for a GPU, but the installed "
            f"onnxruntime has no {', '.join(missing)}; install onnxruntime-gpu."
        )
    # CUDA's libraries may come as packages (requirements/gpu.txt), where no loader looks.
    ort.preload_dlls()
    return [*wanted.items(), "CPUExecutionProvider"]


def options_for(accelerator: str, given: dict[str, str]) -> dict[str, str]:
    """An accelerator's parameters, as the native backend names them, for ONNX Runtime."""
    if accelerator == "cuda":
        return given
    options = {TENSORRT_OPTIONS.get(name, name): value for name, value in given.items()}
    if options.pop("precision_mode", "FP32") == "FP16":
        options["trt_fp16_enable"] = "1"
    return options


def disabled_optimizers(path: Path) -> list[str]:
    """The passes that the file's own metadata says would crash on its graph."""
    return [name for name in read_metadata(path).get(DISABLED_OPTIMIZERS, "").split(",") if name]
