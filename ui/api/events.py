"""A clip's progress as server-sent events, each sent once, also across a lost connection.

The store knows only how far a job is now. So an event's id names all that was sent before, and a
client that comes back with it as Last-Event-ID gets the rest. `state` has no id: it is
sent whenever it changes, and at the beginning. `deleted` has none either: nothing comes after it.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import msgspec
from sse_starlette import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from ui.api.documents import DecodedEvent, EvidenceEvent, StateEvent, to_json_ready, to_state
from ui.jobs.job import Job, Stage
from ui.jobs.store import JobNotFoundError
from vemoclap_client.contract import MODALITIES

LOOK_EVERY_S = 0.25
DECODED, EVIDENCE, RESULT, WINDOW = "decoded", "evidence", "result", "window"
STATE, END, DELETED = "state", "end", "deleted"
ONCE = frozenset((DECODED, *MODALITIES, RESULT, END))
WINDOWS = re.compile(rf"{WINDOW}([0-9]{{1,9}})")
"""So many windows, in an event's id."""

FIELDS = {
    "face": "faces",
    "speech": "speech",
    "text": "screen_text",
    "audio": "audio_events",
}
"""Modality -> field of its evidence."""


class Cursor:
    """What a client was sent."""

    def __init__(self, last_event_id: str = "") -> None:
        """Continues after an event; what is not understood of its id is passed over."""
        parts = dict.fromkeys(last_event_id.split("."))
        self._sent = [part for part in parts if part in ONCE]
        self._windows = max((int(m[1]) for m in map(WINDOWS.fullmatch, parts) if m), default=0)
        self._state: StateEvent | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return END in self._sent

    def news(self, job: Job) -> Iterator[ServerSentEvent]:
        """The events of what is new in a job."""
        state, known = to_state(job), job.known
        if state != self._state:
            self._state = state
            yield _event(STATE, state)
        if known.duration_s is not None and known.frame_times_s is not None:
            decoded = DecodedEvent(known.duration_s, known.frame_times_s)
            yield from self._once(DECODED, DECODED, decoded)
        for modality in MODALITIES:
            if job.stages.get(modality, Stage()).state.is_over:
                yield from self._once(modality, EVIDENCE, _evidence(modality, job))
        if job.result is not None:
            yield from self._once(RESULT, RESULT, job.result)
        if job.timeline is not None:
            for window in job.timeline.windows[self._windows :]:
                self._windows += 1
                yield _event(WINDOW, window, self._id())
        if job.state.is_over:
            yield from self._once(END, END, state)

    def _once(self, name: str, event: str, data: Any) -> Iterator[ServerSentEvent]:
        if name not in self._sent:
            self._sent.append(name)
            yield _event(event, data, self._id())

    def _id(self) -> str:
        windows = [f"{WINDOW}{self._windows}"] if self._windows else []
        return ".".join((*self._sent, *windows))


async def follow(
    read: Callable[[], Job], cursor: Cursor, stopping: anyio.Event
) -> AsyncIterator[ServerSentEvent]:
    """A job's events until it is over or deleted, or the app stops.

    Args:
        read: gives the job as it is now; it is called in a thread.
        stopping: is set when the app stops.
    """
    while not cursor.has_ended and not stopping.is_set():
        try:
            news = await run_in_threadpool(lambda: list(cursor.news(read())))
        except JobNotFoundError:
            yield ServerSentEvent("{}", event=DELETED)
            return
        for event in news:
            yield event
        with anyio.move_on_after(LOOK_EVERY_S):
            await stopping.wait()


def _evidence(modality: str, job: Job) -> EvidenceEvent:
    absent = {name: why for name, why in job.known.absent.items() if name == modality}
    found = {FIELDS[modality]: getattr(job.known, FIELDS[modality])} if modality in FIELDS else {}
    return EvidenceEvent(modality, absent, **found)


def _event(name: str, data: Any, identifier: str | None = None) -> ServerSentEvent:
    text = msgspec.json.encode(to_json_ready(data)).decode()
    return ServerSentEvent(text, event=name, id=identifier, sep="\n")
