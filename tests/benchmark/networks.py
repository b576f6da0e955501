"""The served networks in this process: by ONNX Runtime, or as the eager PyTorch they came from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from tritonclient.grpc.model_config_pb2 import ModelConfig

from export import stamp
from export.building import build_of, supported
from export.graph import arguments
from export.options import Options
from export.registry import PROFILES
from export.spec import Network
from export.variants import CUDA_OPTIONS
from export.weights import fetch_all
from server.backends.onnx_metadata import read_metadata
from server.repository import CONFIG, read_config
from server.slots.slot import Device, Tensors
from tests.benchmark.fixed_decisions import decide

DISABLED_OPTIMIZERS = "disabled_optimizers"
"""Key in a file's metadata, see server/backends/onnxruntime/model.py."""
ENCODE = np.frompyfunc(lambda value: value if isinstance(value, bytes) else value.encode(), 1, 1)


class Networks(Protocol):
    """Computes what a slot's network does."""

    def run(self, slot: str, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        """The named outputs on these inputs, both batch-first."""


class OnnxNetworks:
    """The repository's own model files by ONNX Runtime."""

    def __init__(self, repository: Path, device: Device, one_by_one: bool = False) -> None:
        """`one_by_one`: a batch is computed row by row."""
        self._repository = repository
        self._device = device
        self._one_by_one = one_by_one
        self._sessions: dict[str, ort.InferenceSession] = {}
        self._batched: dict[str, bool] = {}

    def run(self, slot: str, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        """See Networks."""
        if slot not in self._sessions:
            self._open(slot)
        rows = len(next(iter(inputs.values())))
        if not self._one_by_one or not self._batched[slot] or rows == 1:
            return self._run(slot, inputs, outputs)
        parts = [
            self._run(slot, {name: array[row : row + 1] for name, array in inputs.items()}, outputs)
            for row in range(rows)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in outputs}

    def _open(self, slot: str) -> None:
        config = read_config(self._repository / slot / CONFIG)
        path = model_file(self._repository, slot, config)
        disabled = read_metadata(path).get(DISABLED_OPTIMIZERS, "").split(",")
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._device.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._sessions[slot] = ort.InferenceSession(
            path,
            options,
            providers=providers(self._device),
            disabled_optimizers=[name for name in disabled if name],
        )
        self._batched[slot] = config.max_batch_size > 0

    def _run(self, slot: str, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        found = self._sessions[slot].run(list(outputs), inputs)
        return {
            name: ENCODE(array) if array.dtype == object else array
            for name, array in zip(outputs, found, strict=True)
        }


class EagerNetworks:
    """The PyTorch modules that the model files were exported from, in float32.

    A network that is taken as it is, as ONNX, has none: that one runs by ONNX Runtime, row by row.
    """

    def __init__(self, repository: Path, device: Device) -> None:
        """`device`: of all of them."""
        import torch

        torch.set_num_threads(device.threads)
        self._repository = repository
        self._device = device.kind
        self._onnx = OnnxNetworks(repository, device, one_by_one=True)
        self._modules: dict[str, tuple[Network, Any] | None] = {}

    def run(self, slot: str, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        """See Networks."""
        if slot not in self._modules:
            self._modules[slot] = eager_module(self._repository, slot, self._device)
        found = self._modules[slot]
        if found is None:
            return self._onnx.run(slot, inputs, outputs)
        network, module = found
        computed = decide(self._repository, slot, self._compute(network, module, inputs))
        # Texts, such as the head's name, are constants of the file and not the network's.
        if texts := [name for name in outputs if name not in computed]:
            computed |= self._onnx.run(slot, inputs, texts)
        return {name: computed[name] for name in outputs}

    def _compute(self, network: Network, module: Any, inputs: Tensors) -> Tensors:
        import torch

        given = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        with torch.inference_mode():
            answers = module(*(tensor.to(self._device) for tensor in arguments(network, given)))
        if isinstance(answers, torch.Tensor):
            answers = (answers,)
        names = [tensor.name for tensor in network.outputs if tensor.dtype != "string"]
        return {
            name: answer.float().cpu().numpy()
            if answer.is_floating_point()
            else answer.cpu().numpy()
            for name, answer in zip(names, answers, strict=True)
        }


def providers(device: Device) -> list[Any]:
    """ONNX Runtime's providers for the device, as the server's configurations choose them."""
    if device.kind == "cpu":
        return ["CPUExecutionProvider"]
    ort.preload_dlls()
    options = {"device_id": str(device.index), **CUDA_OPTIONS}
    return [("CUDAExecutionProvider", options), "CPUExecutionProvider"]


def model_file(repository: Path, slot: str, config: ModelConfig) -> Path:
    """The slot's model file."""
    return repository / slot / "1" / (config.default_model_filename or "model.onnx")


def eager_module(repository: Path, slot: str, device: str) -> tuple[Network, Any] | None:
    """The network's declaration and its module, from the weights that the slot was filled from."""
    options = stamp.options(repository / slot)
    declared = PROFILES[options.profile].get(slot) if options else None
    if options is None or declared is None or declared.network is None:
        return None
    build = build_of(
        declared, supported(declared, Options(options.profile, weights=options.weights))
    )
    if build.builder.network is None:
        return None
    module = build.builder.network(build.source(fetch_all(build.builder.fetched)))
    return declared.network, module.eval().to(device)
