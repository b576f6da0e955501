"""The Python-based backend `pytorch`: Triton's own, where only its Python backend is there.

It serves TorchScript, and reads the same config.pbtxt as the native backend. Inputs and outputs
are taken in the configuration's order, as the native backend does where their names are neither
`<name>__<index>` nor those of the arguments of `forward`.

Source: the parameters' names and meanings are those of triton-inference-server/pytorch_backend.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import torch

from server.backends.batching import Arrays, BatchedModel, parameters_of


class TritonPythonModel(BatchedModel):
    """One instance of one TorchScript model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the model file onto the instance's device."""
        config = json.loads(args["model_config"])
        self.read_configuration(config)
        set_threads(parameters_of(config))
        self._device = device(args)
        filename = config.get("default_model_filename") or "model.pt"
        path = Path(args["model_repository"]) / args["model_version"] / filename
        with warnings.catch_warnings(action="ignore"):  # torch's advice to move to its successor
            self._module = torch.jit.load(path, map_location=self._device)  # type: ignore[no-untyped-call]

    def run(self, feed: Arrays) -> Arrays:
        """Runs the module on its device."""
        with torch.inference_mode():
            # A copy: Triton's arrays are read-only views of shared memory.
            inputs = [torch.tensor(feed[name], device=self._device) for name in self._inputs]
            returned = self._module(*inputs)
            outputs = returned if isinstance(returned, tuple) else (returned,)
            arrays = [output.cpu().numpy() for output in outputs]
        return dict(zip(self._outputs, arrays, strict=True))


def set_threads(parameters: dict[str, str]) -> None:
    """Sets the pools' sizes; 0 leaves torch's default."""
    if threads := int(parameters.get("INTRA_OP_THREAD_COUNT", 0)):
        torch.set_num_threads(threads)
    if threads := int(parameters.get("INTER_OP_THREAD_COUNT", 0)):
        torch.set_num_interop_threads(threads)
    if parameters.get("DISABLE_OPTIMIZED_EXECUTION", "false") == "true":
        torch._C._set_graph_executor_optimize(False)


def device(args: dict[str, Any]) -> torch.device:
    """The device that `instance_group` names.

    Raises:
        RuntimeError: a GPU is asked for, and torch finds none.
    """
    if args["model_instance_kind"] != "GPU":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise RuntimeError(
            f"{args['model_name']}: instance_group asks for a GPU, but torch {torch.__version__} "
            "finds none: is the driver there, and is this a CUDA build of torch?"
        )
    return torch.device("cuda", int(args["model_instance_device_id"]))
