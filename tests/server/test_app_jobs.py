"""The app's jobs through the real server: evidence as it is known, cancel, failures, recovery."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import schemas
from tests.clips import repeat
from tests.launching import PROJECT, Launched, wait_until
from ui.application import Application
from ui.jobs import media, work
from ui.jobs.job import Job, Source, SourceKind, StageState, State
from ui.jobs.runner import Runner
from ui.jobs.store import JobStore
from ui.owners import EVERYONE
from ui.settings import Settings

JOB_TIMEOUT_S = 300.0
NOTICED_S = 5.0
"""Half a second is what it takes on an idle machine; tests share theirs. The work takes longer."""


@pytest.fixture(autouse=True)
def few_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The portrait has two windows, and the title card one: the server's time is dear."""
    monkeypatch.setattr(work, "window_lengths", lambda duration_s: (8.0, 4.0))


@pytest.fixture
def settings(server: Launched, samples: Path, tmp_path: Path) -> Settings:
    return Settings(tmp_path / "data", samples=samples, server_url=server.url, workers=1)


@pytest.fixture
def app(settings: Settings) -> Iterator[Application]:
    store = JobStore(settings.data)
    runner = Runner(settings, store)
    runner.start()
    yield Application(settings, store, runner)
    assert runner.stop(10.0)


def add_sample(app: Application, name: str = "portrait.mp4") -> Job:
    return app.library(EVERYONE).add(
        name, Source(SourceKind.SAMPLE, str(app.settings.samples / name))
    )


def observe(app: Application, job: Job, until: Callable[[Job], bool]) -> list[Job]:
    """The states that the job went through until then, in order."""
    seen = [app.store.get(job.id)]

    def look() -> bool:
        now = app.store.get(job.id)
        if now != seen[-1]:
            seen.append(now)
        return until(now)

    wait_until(look, JOB_TIMEOUT_S)
    return seen


def test_a_sample_s_evidence_result_and_timeline(app: Application) -> None:
    job = add_sample(app)
    seen = observe(app, job, lambda now: now.state.is_over)
    done = seen[-1]
    assert (done.state, done.failure) == (State.DONE, None)
    assert done.result is not None and done.timeline is not None
    schemas.check(done.result.to_dict(), "result")
    assert done.result.video == done.timeline.video == "portrait.mp4"
    assert done.result.emotion == "joy"
    assert set(done.result.absent) == {
        name for name, stage in done.stages.items() if stage.state is StageState.ABSENT
    }
    for name in ("faces", "speech", "audio_events"):
        early = next(now for now in seen if getattr(now.evidence, name) is not None)
        assert getattr(early.evidence, name) == getattr(done.result, name)
    first = next(now for now in seen if now.evidence.faces is not None)
    assert first.result is None, "evidence is there before the result"
    assert all(media.frame_path(app.store, job.id, index).is_file() for index in range(16))
    grown = [now.timeline for now in seen if now.timeline is not None]
    assert len(done.timeline.windows) == 2
    for timeline in grown:
        schemas.check(timeline.to_dict(), "timeline")
    assert done.timeline.windows[-1].end_s == pytest.approx(done.result.duration_s)


@pytest.mark.parametrize("stage", ["decode", "speech", "timeline"])
def test_cancelling_ends_the_work_at_once(app: Application, samples: Path, stage: str) -> None:
    clip = repeat(samples / "portrait.mp4", app.store.uploads / "long.mp4", 3)
    job = app.library(EVERYONE).add("long.mp4", Source(SourceKind.UPLOAD, str(clip)))
    observe(app, job, lambda now: now.stages[stage].state is StageState.WORKING)
    began = time.monotonic()
    assert app.runner.cancel(job.id).state is State.CANCELLED
    # The one thread takes the next job only when it is done with this one.
    following = add_sample(app, "title_card.mp4")
    observe(app, following, lambda now: now.state is not State.WAITING)
    assert time.monotonic() - began < NOTICED_S
    assert app.store.get(job.id).state is State.CANCELLED
    app.runner.cancel(following.id)


def test_a_broken_file_s_failure_is_in_plain_words(app: Application) -> None:
    path = app.store.uploads / ("0" * 32)
    path.write_bytes(b"this is no video " * 100)
    job = app.library(EVERYONE).add("holiday.mp4", Source(SourceKind.UPLOAD, str(path)))
    failed = observe(app, job, lambda now: now.state.is_over)[-1]
    assert failed.state is State.FAILED and failed.failure is not None
    assert failed.failure.kind == "NotAVideoError"
    assert "holiday.mp4" in failed.failure.message
    assert str(app.settings.data) not in failed.failure.message
    assert "MP4" in failed.failure.advice


def test_without_a_server_the_way_to_start_it_is_told(settings: Settings) -> None:
    store = JobStore(settings.data)
    nowhere = replace(settings, server_url="127.0.0.1:1")
    app = Application(nowhere, store, Runner(nowhere, store))
    app.runner.start()
    try:
        failed = observe(app, add_sample(app), lambda now: now.state.is_over)[-1]
    finally:
        assert app.runner.stop(10.0)
    assert failed.failure is not None
    assert failed.failure.kind == "ServerUnavailableError"
    assert "make serve" in failed.failure.advice


KILLED = """
import sys
from pathlib import Path
from ui.jobs.runner import Runner
from ui.jobs.store import JobStore
from ui.settings import Settings

settings = Settings(Path(sys.argv[1]), samples=Path(sys.argv[2]), server_url=sys.argv[3])
Runner(settings, JobStore(settings.data)).start()
sys.stdin.read()
"""


def test_a_killed_app_s_job_is_finished_by_the_next(settings: Settings) -> None:
    store = JobStore(settings.data)
    app = Application(settings, store, Runner(settings, store))
    # Of a clip without speech, decoding and result are hardly apart.
    job = add_sample(app, "portrait.mp4")
    arguments = [str(settings.data), str(settings.samples), settings.server_url]
    first = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], cwd=PROJECT, stdin=subprocess.PIPE
    )
    try:
        observe(
            app, job, lambda now: first.poll() is not None or now.evidence.duration_s is not None
        )
    finally:
        first.kill()
        first.communicate()
    assert store.get(job.id).state is State.WORKING
    app.runner.start()
    try:
        seen = observe(app, job, lambda now: now.state.is_over)
    finally:
        assert app.runner.stop(10.0)
    assert seen[-1].state is State.DONE
    assert max(now.attempts for now in seen) == 2
