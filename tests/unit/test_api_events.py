"""Events of a clip: all that is known, as it becomes known, each once."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
from sse_starlette import ServerSentEvent

from tests.launching import wait_until
from tests.unit.api_client import ApiClient
from tests.unit.app_client import TIMEOUT_S, FakeServer, running, upload
from tests.unit.app_fixture import done_job, waiting_job
from ui.api import events
from ui.api.events import Cursor
from ui.api.openapi import document
from ui.application import Application
from ui.jobs.job import Job
from ui.jobs.store import JobStore
from ui.settings import Settings

DATA = {
    "state": "StateEvent",
    "decoded": "DecodedEvent",
    "evidence": "EvidenceEvent",
    "result": "EmotionResult",
    "window": "Window",
    "end": "StateEvent",
}
"""Name of an event -> name of its schema."""


class Received(NamedTuple):
    name: str
    identifier: str | None
    data: Any


def parse(text: str) -> list[Received]:
    """The events in a stream."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if fields:
            found.append(Received(fields["event"], fields.get("id"), json.loads(fields["data"])))
    return found


def follow(web: ApiClient, job: Job, last: str | None = None) -> list[Received]:
    headers = {"Last-Event-ID": last} if last else {}
    answer = web.get(f"/clips/{job.id}/events", headers=headers)
    assert answer.status_code == 200
    return parse(answer.text)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_EVERY_S", 0.01)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def working(tmp_path: Path, server: FakeServer) -> Iterator[Application]:
    settings = Settings(tmp_path / "data", workers=1)
    with running(settings, JobStore(settings.data), server) as app:
        yield app


def test_events_come_as_they_are_known(working: Application, server: FakeServer) -> None:
    job = upload(working)
    received = follow(ApiClient(working), job)
    names = [event.name for event in received]
    assert next(name for name in names if name != "state") == "decoded"
    assert names[0] == "state" and names[-1] == "end"
    assert names.count("evidence") == 5 and names.count("result") == 1
    assert names.index("evidence") < names.index("result") < names.index("window")
    assert names.count("window") == server.windows
    last = received[-1].data
    assert (last["state"], last["failure"]) == ("done", None)
    result = next(event.data for event in received if event.name == "result")
    done = working.store.get(job.id)
    assert done.result is not None
    assert result == json.loads(json.dumps(done.result.to_dict()))
    evidence = {e.data["modality"]: e.data for e in received if e.name == "evidence"}
    assert evidence["face"]["faces"] == result["faces"]
    assert evidence["text"]["absent"] == {"text": result["absent"]["text"]}
    schemas = document()["components"]
    for event in received:
        schema = {"$ref": f"#/components/schemas/{DATA[event.name]}", "components": schemas}
        jsonschema.validate(event.data, schema, jsonschema.Draft202012Validator)


def test_evidence_comes_before_the_result_is_there(
    working: Application, server: FakeServer
) -> None:
    """The server's answer is held up until the evidence has been sent."""
    server.hold = "result"
    cursor, job, seen = Cursor(), upload(working), []

    def look() -> bool:
        seen.extend(event.event for event in cursor.news(working.store.get(job.id)))
        return seen.count("evidence") == 2

    wait_until(look, TIMEOUT_S)
    assert "result" not in seen
    server.go.set()
    assert follow(ApiClient(working), job)[-1].data["state"] == "done"


def test_a_client_that_comes_back_gets_the_rest(app: Application) -> None:
    job, web = done_job(app.store), ApiClient(app)
    whole = [event for event in follow(web, job) if event.name != "state"]
    for count, event in enumerate(whole[:-1], 1):
        rest = [event for event in follow(web, job, event.identifier) if event.name != "state"]
        assert rest == whole[count:]
    ended = web.get(
        f"/clips/{job.id}/events", headers={"Last-Event-ID": whole[-1].identifier or ""}
    )
    assert (ended.status_code, ended.content) == (204, b"")


@pytest.mark.parametrize("last", ["", "nonsense", "window", "window" + "9" * 5000, "..", "end2"])
def test_an_id_that_is_none_gives_everything(app: Application, last: str) -> None:
    job = done_job(app.store)
    everything = [event.event for event in Cursor().news(job)]
    assert [event.event for event in Cursor(last).news(job)] == everything


def test_any_order_of_what_becomes_known_is_told_once(working: Application) -> None:
    """Every state that a real job was in, looked at or not."""
    states: list[Job] = []
    change = working.store.change

    def note(identifier: str, edit: Callable[[Job], Job]) -> Job:
        job = change(identifier, edit)
        states.append(job)
        return job

    working.store.change = note  # type: ignore[method-assign]
    job = upload(working)
    follow(ApiClient(working), job)
    # The last event may be sent before `change` returns.
    wait_until(lambda: states[-1].state.is_over, TIMEOUT_S)
    whole = [event for event in sent(states) if event.event != "state"]
    for seed in range(20):
        looked_at = sorted(random.Random(seed).sample(range(len(states)), 3))
        chosen = [states[index] for index in looked_at] + [states[-1]]
        told = [event for event in sent(chosen) if event.event != "state"]
        assert sorted(str(event.data) for event in told) == sorted(str(e.data) for e in whole)


def sent(states: list[Job]) -> list[ServerSentEvent]:
    cursor = Cursor()
    return [event for state in states for event in cursor.news(state)]


def test_a_clip_that_is_deleted_ends_its_events(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, web = waiting_job(app.store), ApiClient(app)
    news = Cursor.news

    def delete_after(cursor: Cursor, found: Job) -> list[ServerSentEvent]:
        told = list(news(cursor, found))
        app.store.delete(job.id)
        return told

    monkeypatch.setattr(Cursor, "news", delete_after)
    assert [event.name for event in follow(web, job)] == ["state", "deleted"]
    assert web.get(f"/clips/{job.id}/events").status_code == 404


def test_a_job_that_cannot_be_read_has_events_too(app: Application) -> None:
    job = waiting_job(app.store)
    with app.store.connected() as connection:
        connection.execute("UPDATE jobs SET document = '{}' WHERE id = ?", (job.id,))
    [state, end] = follow(ApiClient(app), job)
    assert (state.name, end.name) == ("state", "end")
    assert end.data["failure"]["error"] == "StoredDocumentError"
