"""The ensemble in this process: the slots' own code, without a server."""

import ast
import asyncio
import importlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.slots.slot import Device, PythonSlot, Tensors, Value
from server.slots.stream import SlotStep, array_of, read_graph
from tests.benchmark.networks import Networks
from vemoclap_client.contract import AUDIO, FRAMES
from vemoclap_client.requests import RESULT_OUTPUTS

PYTHON_SLOT = "1/model.py"

Watch = Callable[[str, Tensors], None]
"""Is told of each call of a network: the slot and its inputs."""


class InProcess:
    """Runs one clip after the other through the ensemble's steps.

    Attributes:
        processor_s: slot -> the user and system seconds that it used so far, without those of the
            slots that it called.
    """

    def __init__(
        self,
        repository: Path,
        networks: Networks,
        device: Device,
        watch: Watch | None = None,
        outputs: Sequence[str] = RESULT_OUTPUTS,
    ) -> None:
        """`device`: for the networks that Python slots have of their own."""
        self._repository = repository
        self._networks = networks
        self._device = device
        self._watch = watch
        self._slots: dict[str, PythonSlot] = {}
        self._outputs = outputs
        self._steps = read_graph(repository, outputs).steps
        self._inner_s = 0.0
        self.processor_s: defaultdict[str, float] = defaultdict(float)

    def classify(self, frames: NDArray[np.uint8], audio: NDArray[np.float32]) -> Tensors:
        """The ensemble's outputs for a clip, batch-first."""
        return asyncio.run(self._classify({FRAMES: frames[None], AUDIO: audio[None]}))

    async def _classify(self, values: Tensors) -> Tensors:
        # What a slot hands to threads still runs one after the other.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        waiting: list[SlotStep] = list(self._steps)
        while waiting:
            step = next(one for one in waiting if values.keys() >= set(one.inputs.values()))
            waiting.remove(step)
            found, _ = await step.run({n: values[v] for n, v in step.inputs.items()}, self.infer)
            values.update(found)
        return {name: values[name] for name in self._outputs}

    async def infer(
        self, slot: str, inputs: Mapping[str, Value], outputs: Sequence[str]
    ) -> Tensors:
        """Calls a slot, see server.slots.slot.Infer."""
        arrays = {name: array_of(value) for name, value in inputs.items()}
        started, outer_s, self._inner_s = time.process_time(), self._inner_s, 0.0
        if (self._repository / slot / PYTHON_SLOT).is_file():
            found = await self._run_python(slot, arrays, outputs)
        else:
            if self._watch is not None:
                self._watch(slot, arrays)
            found = self._networks.run(slot, arrays, outputs)
        used_s = time.process_time() - started
        self.processor_s[slot] += used_s - self._inner_s
        self._inner_s = outer_s + used_s
        return found

    async def _run_python(self, slot: str, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        if slot not in self._slots:
            folder = self._repository / slot / "1"
            self._slots[slot] = slot_class(self._repository / slot / PYTHON_SLOT)(
                folder, self._device
            )
        count = len(next(iter(inputs.values())))
        items = [{name: array[row] for name, array in inputs.items()} for row in range(count)]
        answers = [await self._slots[slot].run(item, self.infer) for item in items]
        return {name: np.stack([answer[name] for answer in answers]) for name in outputs}


def slot_class(path: Path) -> Any:
    """The class that a slot's model.py hands to triton_model: model.py itself needs Triton."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (named,) = (
        node.args[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.args[0], ast.Name)
    )
    (module,) = (
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and any(alias.name == named for alias in node.names)
    )
    return getattr(importlib.import_module(str(module)), named)
