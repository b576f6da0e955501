"""Serves stream.GraphRun as a decoupled Triton model: many responses to one request."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Semaphore, Thread
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from server.slots.serving import ErrorResponses, calls_of
from server.slots.slot import ReceivedTensor
from server.slots.stream import NO_EVIDENCE, GraphRun, StepDone, read_graph
from vemoclap_client.contract import (
    AUDIO,
    CAPTION_PARAMETER,
    ENSEMBLE,
    EVIDENCE,
    FRAMES,
    JPEG_FRAMES,
    STEP,
)

CLIPS_AT_ONCE = 6
"""Clips with running steps, whose frames and sound are in shared memory; Triton queues others."""

CALLS_AT_ONCE = 5 * CLIPS_AT_ONCE
"""A call of a slot holds a thread; of a clip's steps, the encoder of the frames and the four
analyzers run side by side. Triton itself has 32 threads for these calls."""


class StreamModel:
    """The model vemoclap_stream."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the ensemble's steps and starts a thread that runs them for all requests.

        Triton hands over further requests when `execute` has returned. An `async def execute`
        returns at once, for however many requests there are; this one when there is room.
        """
        outputs = [tensor["name"] for tensor in json.loads(args["model_config"])["output"]]
        self._outputs = [name for name in outputs if name not in (STEP, EVIDENCE)]
        self._errors = ErrorResponses(args["model_name"])
        self._graph = read_graph(Path(args["model_repository"]).parent, self._outputs)
        self._room = Semaphore(CLIPS_AT_ONCE)
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(CALLS_AT_ONCE))
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def execute(self, requests: list[Any]) -> None:
        """Returns once there is room for the steps of each request, before its responses."""
        for request in requests:
            self._room.acquire()
            asyncio.run_coroutine_threadsafe(self._serve(request), self._loop)

    def finalize(self) -> None:
        """Ends the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, request: Any) -> None:
        try:
            await self._respond(request, request.get_response_sender())
        finally:
            self._room.release()

    async def _respond(self, request: Any, sender: Any) -> None:
        """Sends the responses to a request, the last of them or an error, and the final flag."""
        run = None
        try:
            run = self._run_of(request)
            async for step in run.steps_done(sender.is_cancelled):
                sender.send(_response(step, {}))
            if not sender.is_cancelled():
                ended = StepDone(ENSEMBLE, NO_EVIDENCE)
                sender.send(_response(ended, run.outputs(self._outputs)))
        except Exception as error:
            sender.send(self._errors.make(error, request))
        finally:
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
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
