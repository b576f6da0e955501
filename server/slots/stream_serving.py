"""Serves stream.GraphRun as a decoupled Triton model: many answers to one request."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Semaphore, Thread
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from server.slots.serving import error_response, infer
from server.slots.slot import Tensors
from server.slots.stream import NO_EVIDENCE, GraphRun, StepDone, last_answer, read_graph
from vemoclap_client.contract import AUDIO, CAPTION_PARAMETER, ENSEMBLE, EVIDENCE, FRAMES, STEP

CLIPS_AT_ONCE = 6
"""Clips at work, with frames and sound in shared memory; Triton keeps the others in its own."""

CALLS_AT_ONCE = 5 * CLIPS_AT_ONCE
"""A call of a slot holds a thread; of a clip's steps, the encoder of the frames and the four
analyzers run side by side. Triton itself has 32 threads for these calls."""


class StreamModel:
    """The model vemoclap_stream."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the ensemble's steps and starts a thread that runs them for all requests.

        Triton hands a request over when `execute` returned from those before it. With an `async
        def execute` that would be at once, for however many requests there are; ours waits.
        """
        outputs = [tensor["name"] for tensor in json.loads(args["model_config"])["output"]]
        self._outputs = [name for name in outputs if name not in (STEP, EVIDENCE)]
        self._graph = read_graph(Path(args["model_repository"]).parent, self._outputs)
        self._room = Semaphore(CLIPS_AT_ONCE)
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(CALLS_AT_ONCE))
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def execute(self, requests: list[Any]) -> None:
        """Returns once each request is at work, before it is answered."""
        for request in requests:
            self._room.acquire()
            asyncio.run_coroutine_threadsafe(self._serve(request), self._loop)

    def finalize(self) -> None:
        """Ends the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(self, request: Any) -> None:
        sender = request.get_response_sender()
        try:
            await self._answer(self._run_of(request), sender)
        finally:
            self._room.release()

    def _run_of(self, request: Any) -> GraphRun:
        tensors = [pb_utils.get_input_tensor_by_name(request, name) for name in (FRAMES, AUDIO)]
        arrays = [tensor.as_numpy() for tensor in tensors]
        clip = dict(zip((FRAMES, AUDIO), arrays, strict=True))
        received = dict(zip(map(id, arrays), tensors, strict=True))
        steps = self._graph.steps_for(_captioned(request))
        return GraphRun(steps, clip, partial(infer, received=received))

    async def _answer(self, run: GraphRun, sender: Any) -> None:
        try:
            async for step in run.steps_done(sender.is_cancelled):
                sender.send(_response(_told(step)))
            if not sender.is_cancelled():
                last = last_answer(run.values, self._outputs)
                sender.send(_response({**_told(StepDone(ENSEMBLE, NO_EVIDENCE)), **last}))
        except Exception as error:
            sender.send(error_response(error))
        finally:
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
            await run.settle()


def _captioned(request: Any) -> bool:
    return json.loads(request.parameters() or "{}").get(CAPTION_PARAMETER) is True


def _told(step: StepDone) -> Tensors:
    return {STEP: _text(step.slot.encode()), EVIDENCE: _text(step.evidence)}


def _text(value: bytes) -> NDArray[Any]:
    return np.array([[value]], object)


def _response(tensors: Mapping[str, Any]) -> Any:
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, array) for name, array in tensors.items()]
    )
