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

from server.slot_errors import ErrorResponses
from server.slots.admission import (
    ENSEMBLE_PARAMETER,
    Admission,
    BusyError,
    Place,
    TooLargeError,
)
from server.slots.jpeg import decoded_size
from server.slots.serving import cpu_memory
from vemoclap_client.contract import JPEG_FRAMES

REFUSED = "vemoclap_refused_requests"
REFUSED_DESCRIPTION = "Requests that were refused as busy, which Triton does not count as failed"
WAITING = "vemoclap_waiting_requests"
WAITING_DESCRIPTION = "Requests that wait to be admitted, which Triton counts as at work"
"""Names of metrics, and what they count."""
LOOK_INTERVAL_S = 0.025
"""So often it is seen whether the next request can be admitted, while there is one: other processes
make room, too."""
CANCELLED_INTERVAL_S = 1.0
"""So often each request that waits is looked at: its client may have given up."""
FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class Entry:
    """Admits requests in their order or refuses them, and begins the work on those it admits."""

    def initialize(self, args: dict[str, str]) -> None:
        """Starts a thread that runs the work on all requests side by side."""
        config = json.loads(args["model_config"])
        self._ensemble = config["parameters"][ENSEMBLE_PARAMETER]["string_value"]
        self.errors = ErrorResponses(args["model_name"])
        self._admission = Admission.of(config["parameters"])
        self.limits = self._admission.limits
        self._turns: dict[Place, asyncio.Future[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        # A metric lasts as long as its family.
        self._families = [
            pb_utils.MetricFamily(name=name, description=description, kind=kind)
            for name, description, kind in (
                (REFUSED, REFUSED_DESCRIPTION, pb_utils.MetricFamily.COUNTER),
                (WAITING, WAITING_DESCRIPTION, pb_utils.MetricFamily.GAUGE),
            )
        ]
        labels = {"model": config["name"]}
        self._refused, self._waiting = (family.Metric(labels=labels) for family in self._families)
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(self.limits.calls_at_once))
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def execute(self, requests: list[Any]) -> None:
        """Refuses at once what is too much, and returns before the others are answered."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                place = self._admission.arrive(*amount(request))
            except BusyError as error:
                self._refused.increment(1)
                _send_error(sender, str(error), pb_utils.TritonError.UNAVAILABLE)
            except TooLargeError as error:
                _send_error(sender, str(error), pb_utils.TritonError.INVALID_ARG)
            else:
                serving = self._serve(request, sender, place)
                asyncio.run_coroutine_threadsafe(serving, self._loop)

    def finalize(self) -> None:
        """Ends the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def respond(self, request: Any, sender: Any) -> None:
        """Answers a request that was admitted; sends the final flag."""
        raise NotImplementedError

    async def _serve(self, request: Any, sender: Any, place: Place) -> None:
        try:
            if place.admitted is None and not await self._is_wanted_in_turn(place, sender):
                _send_error(sender, "cancelled while it waited", pb_utils.TritonError.CANCELLED)
            else:
                await self.respond(request, sender)
        finally:
            self._admission.leave(place)
            self._admit()

    async def _is_wanted_in_turn(self, place: Place, sender: Any) -> bool:
        """Returns when it is the request's turn or its client has given up: False."""
        turn = self._turns[place] = self._loop.create_future()
        self._waiting.increment(1)
        self._looking = self._looking or self._loop.create_task(self._look())
        try:
            return await is_wanted_after(turn, sender)
        finally:
            del self._turns[place]
            self._waiting.increment(-1)

    async def _look(self) -> None:
        """Admits again and again, while requests wait."""
        while self._turns:
            self._admit()
            await asyncio.sleep(LOOK_INTERVAL_S)
        self._looking = None

    def _admit(self) -> None:
        """Admits all requests whose turn it is."""
        while place := self._admission.admit():
            # Not there if the request's own work has not begun yet: then it does not wait at all.
            if place in self._turns:
                self._turns[place].set_result(None)


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


async def is_wanted_after(wait: asyncio.Future[Any], sender: Any) -> bool:
    """Returns when `wait` is done or the request's client has given up: False."""
    while not (is_cancelled := sender.is_cancelled()) and not wait.done():
        await asyncio.wait([wait], timeout=CANCELLED_INTERVAL_S)
    return not is_cancelled


def _send_error(sender: Any, message: str, status: int) -> None:
    error = pb_utils.TritonError(message, status)
    sender.send(pb_utils.InferenceResponse(error=error), FINAL)


def amount(request: Any) -> tuple[int, int]:
    """How many clips a request has, and of how many bytes when its frames are decoded."""
    arrays = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
    # Triton 2.51 hands over no request of 0 clips, and never answers it.
    clips = max(1, *(len(array) for array in arrays.values()))
    size = sum(
        sum(map(decoded_size, array)) if name == JPEG_FRAMES else array.nbytes
        for name, array in arrays.items()
    )
    return clips, size
