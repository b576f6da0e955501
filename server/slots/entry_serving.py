"""Serves an entry: a model that clients call, which admits requests and has an ensemble answer.

It answers through response senders, in Triton's default mode too (since 24.06), since `execute` has
to return before there is an answer: only then Triton hands over the next requests.
"""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import triton_python_backend_utils as pb_utils

from server.slots.admission import (
    CALLS_AT_ONCE,
    ENSEMBLE_PARAMETER,
    Admission,
    Admitted,
    BusyError,
    TooLargeError,
)
from server.slots.jpeg import decoded_size
from server.slots.serving import ErrorResponses, cpu_memory
from vemoclap_client.contract import JPEG_FRAMES

REFUSED = "vemoclap_refused_requests"
"""Name of the metric."""
FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class Entry:
    """Admits requests or refuses them, and begins the work on those that are admitted."""

    def initialize(self, args: dict[str, str]) -> None:
        """Starts a thread that runs the work on all requests side by side."""
        config = json.loads(args["model_config"])
        self._ensemble = config["parameters"][ENSEMBLE_PARAMETER]["string_value"]
        self.errors = ErrorResponses(args["model_name"])
        self._admission = Admission.of(config["parameters"])
        threads = max(CALLS_AT_ONCE, self._admission.limits.clips)
        # The metric lasts as long as its family.
        self._family = pb_utils.MetricFamily(
            name=REFUSED,
            description="Requests that were refused as busy, which Triton does not count as failed",
            kind=pb_utils.MetricFamily.COUNTER,
        )
        self._refused = self._family.Metric(labels={"model": config["name"]})
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(threads))
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def execute(self, requests: list[Any]) -> None:
        """Refuses at once what is too much, and returns before the others are answered."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                admitted = self._admission.admit(*amount(request))
            except BusyError as error:
                self._refused.increment(1)
                refused = pb_utils.TritonError(str(error), pb_utils.TritonError.UNAVAILABLE)
                sender.send(pb_utils.InferenceResponse(error=refused), FINAL)
            except TooLargeError as error:
                refused = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
                sender.send(pb_utils.InferenceResponse(error=refused), FINAL)
            else:
                serving = self._serve(request, sender, admitted)
                asyncio.run_coroutine_threadsafe(serving, self._loop)

    def finalize(self) -> None:
        """Ends the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def respond(self, request: Any, sender: Any) -> None:
        """Answers a request that was admitted; sends the final flag."""
        raise NotImplementedError

    async def _serve(self, request: Any, sender: Any, admitted: Admitted) -> None:
        try:
            await self.respond(request, sender)
        finally:
            self._admission.release(admitted)


class EntryModel(Entry):
    """An entry whose answer is an ensemble's."""

    async def respond(self, request: Any, sender: Any) -> None:
        """Sends the ensemble's response or error; frames and sound are passed on, not copied."""
        try:
            call = pb_utils.InferenceRequest(
                model_name=self._ensemble,
                requested_output_names=list(request.requested_output_names()),
                inputs=list(request.inputs()),
                preferred_memory=cpu_memory(),
                request_id=request.request_id(),
            )
            response = await call.async_exec()
            if response.has_error():
                self.errors.count(response.error().message(), request)
        except Exception as error:
            response = self.errors.make(error, request)
        sender.send(response, FINAL)


def amount(request: Any) -> tuple[int, int]:
    """How many clips a request has, and of how many bytes when its frames are decoded."""
    arrays = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
    clips = max(len(array) for array in arrays.values())
    size = sum(
        sum(map(decoded_size, array)) if name == JPEG_FRAMES else array.nbytes
        for name, array in arrays.items()
    )
    return clips, size
