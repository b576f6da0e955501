"""Serves stream.GraphRun as a decoupled Triton model: many responses to one request."""

import asyncio
import json
from asyncio import Semaphore
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from server.slots.entry_serving import FINAL, Entry, is_wanted_after
from server.slots.serving import calls_of
from server.slots.slot import ReceivedTensor
from server.slots.stream import NO_EVIDENCE, GraphRun, StepDone, read_graph
from vemoclap_client.contract import (
    AUDIO,
    CAPTION_PARAMETER,
    ENTRY,
    EVIDENCE,
    FRAMES,
    JPEG_FRAMES,
    STEP,
)

STEPS_AT_ONCE = 5
"""Of a clip: the encoder of the frames and the four analyzers."""


class StreamModel(Entry):
    """The model vemoclap_stream. As many of its clips run as Triton has threads for their calls."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the ensemble's steps too."""
        super().initialize(args)
        outputs = [tensor["name"] for tensor in json.loads(args["model_config"])["output"]]
        self._outputs = [name for name in outputs if name not in (STEP, EVIDENCE)]
        self._graph = read_graph(Path(args["model_repository"]).parent, self._outputs)
        self._room = Semaphore(self.limits.calls_at_once // STEPS_AT_ONCE)

    async def respond(self, request: Any, sender: Any) -> None:
        """Sends the responses to a request, the last of them or an error, and the final flag."""
        room = asyncio.create_task(self._room.acquire())
        try:
            if await is_wanted_after(room, sender):
                await self._run(request, sender)
            else:
                sender.send(flags=FINAL)
        finally:
            if not room.cancel():  # It was acquired.
                self._room.release()

    async def _run(self, request: Any, sender: Any) -> None:
        run = None
        try:
            run = self._run_of(request)
            async for step in run.steps_done(sender.is_cancelled):
                sender.send(_response(step, {}))
            if not sender.is_cancelled():
                ended = StepDone(ENTRY, NO_EVIDENCE)
                sender.send(_response(ended, run.outputs(self._outputs)))
        except Exception as error:
            sender.send(self.errors.make(error, request))
        finally:
            sender.send(flags=FINAL)
            if run is not None:
                await run.settle()

    def _run_of(self, request: Any) -> GraphRun:
        tensors = {
            name: pb_utils.get_input_tensor_by_name(request, name)
            for name in (FRAMES, JPEG_FRAMES, AUDIO)
        }
        clip = {
            name: ReceivedTensor(tensor.as_numpy(), tensor)
            for name, tensor in tensors.items()
            if tensor is not None
        }
        if FRAMES not in clip and JPEG_FRAMES not in clip:
            raise ValueError(f"the request has neither {FRAMES} nor {JPEG_FRAMES}")
        steps = self._graph.steps_for(_wants_caption(request), jpeg=FRAMES not in clip)
        # Not the trace: Triton frees it when `execute` returns, before the calls.
        return GraphRun(steps, clip, calls_of(request))


def _wants_caption(request: Any) -> bool:
    return json.loads(request.parameters() or "{}").get(CAPTION_PARAMETER) is True


def _response(step: StepDone, outputs: Mapping[str, Any]) -> Any:
    """A response about a step, with these outputs, batch-first."""
    texts = {STEP: step.slot.encode(), EVIDENCE: step.evidence}
    arrays = {name: np.array([[text]], object) for name, text in texts.items()}
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, array) for name, array in {**arrays, **outputs}.items()]
    )
