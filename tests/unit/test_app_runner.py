"""The app's background work, with a made-up client of the server."""

import dataclasses
import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests import schemas
from tests.launching import wait_until
from tests.unit.app_client import (
    TIMEOUT_S,
    VIDEO,
    FakeServer,
    make_answer,
    running,
    upload,
    wait_for_end,
)
from ui.application import Application
from ui.files import FolderInUseError
from ui.jobs import advice, media, work
from ui.jobs.job import STAGES, ClipNotAllowedError, Job, Source, SourceKind, StageState, State
from ui.jobs.record import cancelled
from ui.jobs.runner import Runner
from ui.jobs.store import JobStore
from ui.owners import EVERYONE, Owner
from ui.settings import Settings
from vemoclap_client import errors
from vemoclap_client.contract import FRAME_COUNT, MODALITIES
from vemoclap_client.errors import (
    BadLinkError,
    BotCheckError,
    JavaScriptNeededError,
    NotAVideoError,
    ServerLostError,
    ServerUnavailableError,
    VideoNotFoundError,
)
from vemoclap_client.fetch import Fetched, FetchLimits, FetchProgress
from vemoclap_client.media.windows import check_lengths

LINK = "https://videos.example/watch?v=1"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "samples").mkdir()
    (tmp_path / "clips").mkdir()
    return Settings(
        data=tmp_path / "data", samples=tmp_path / "samples", folder=tmp_path / "clips", workers=1
    )


@pytest.fixture
def store(settings: Settings) -> JobStore:
    return JobStore(settings.data)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def app(settings: Settings, store: JobStore, server: FakeServer) -> Iterator[Application]:
    with running(settings, store, server) as application:
        yield application


def reached(server: FakeServer, step: str) -> None:
    wait_until(lambda: step in server.reached, TIMEOUT_S)


def test_an_upload_becomes_a_result_and_a_timeline(app: Application, server: FakeServer) -> None:
    job = upload(app)
    done = wait_for_end(app.store, job.id)
    assert (done.state, done.failure) == (State.DONE, None)
    assert done.result is not None and done.timeline is not None
    schemas.check(done.result.to_dict(), "result")
    schemas.check(done.timeline.to_dict(), "timeline")
    assert done.result.video == done.timeline.video == "holiday.mp4"
    assert len(done.timeline.windows) == server.windows
    assert server.paths == [app.store.folder(job.id) / "clip.mp4"]
    assert server.paths[0].read_bytes() == VIDEO
    assert "fetch" not in done.stages
    states = {name: stage.state for name, stage in done.stages.items()}
    assert states == dict.fromkeys(STAGES[1:], StageState.DONE) | {"text": StageState.ABSENT}
    assert done.stages["text"].detail == make_answer(job.name).absent["text"]


def test_what_is_known_is_shown_before_the_result(app: Application, server: FakeServer) -> None:
    server.hold = "result"
    job = upload(app)
    reached(server, "result")
    known = app.store.get(job.id)
    expected = make_answer(job.name)
    for name in ("duration_s", "frame_times_s", "faces", "absent"):
        assert getattr(known.evidence, name) == getattr(expected, name), name
    assert known.evidence.speech is None
    assert known.result is None
    assert known.stages["face"].state is StageState.DONE
    assert known.stages["speech"].state is StageState.WORKING
    assert known.stages["fusion"].state is StageState.WAITING
    for index in range(FRAME_COUNT):
        with Image.open(media.frame_path(app.store, job.id, index)) as frame:
            assert (frame.format, frame.size) == ("JPEG", (160, 90))
    server.go.set()
    wait_for_end(app.store, job.id)


def test_a_timeline_is_valid_while_it_grows(app: Application, server: FakeServer) -> None:
    server.hold = "windows"
    job = upload(app)
    reached(server, "windows")
    growing = app.store.get(job.id)
    assert growing.result is not None and growing.timeline is not None
    schemas.check(growing.timeline.to_dict(), "timeline")
    assert len(growing.timeline.windows) == 2
    assert growing.stages["timeline"].progress == pytest.approx(2 / 3)
    server.go.set()
    wait_for_end(app.store, job.id)


@pytest.mark.parametrize("step", ["decoded", "evidence", "result", "windows"])
def test_a_job_is_cancelled_at_any_step(app: Application, server: FakeServer, step: str) -> None:
    server.hold = step
    job = upload(app)
    reached(server, step)
    assert app.runner.cancel(job.id).state is State.CANCELLED
    # The one thread is free for the next job.
    server.hold = None
    other = upload(app, "other.mp4")
    wait_until(lambda: app.store.get(other.id).state is not State.WAITING, TIMEOUT_S)
    assert wait_for_end(app.store, other.id).state is State.DONE
    left = app.store.get(job.id)
    assert left.state is State.CANCELLED
    assert StageState.WORKING not in {stage.state for stage in left.stages.values()}
    assert (left.result is not None) == (step == "windows")


def test_another_process_cancels_through_the_store(app: Application, server: FakeServer) -> None:
    server.hold = "evidence"
    job = upload(app)
    reached(server, "evidence")
    app.store.request_cancel(job.id)
    assert wait_for_end(app.store, job.id).state is State.CANCELLED


def test_a_job_can_be_deleted_while_it_is_at_work(app: Application, server: FakeServer) -> None:
    server.hold = "evidence"
    job = upload(app)
    reached(server, "evidence")
    app.store.delete(job.id)
    server.hold = None
    other = upload(app, "other.mp4")
    assert wait_for_end(app.store, other.id).state is State.DONE
    assert not app.store.folder(job.id).exists()


def test_a_job_can_be_deleted_while_it_is_being_cancelled(
    app: Application,
    server: FakeServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change = app.store.change

    def delete_and_change(identifier: str, edit: Callable[[Job], Job]) -> Job:
        if edit is cancelled:
            app.store.delete(identifier)
        return change(identifier, edit)

    server.hold = "evidence"
    job = upload(app)
    reached(server, "evidence")
    monkeypatch.setattr(app.store, "change", delete_and_change)
    app.store.request_cancel(job.id)
    server.hold = None
    assert wait_for_end(app.store, upload(app, "other.mp4").id).state is State.DONE
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_timeline_gives_way_to_a_clip_that_waits_for_its_answer(
    app: Application, server: FakeServer
) -> None:
    later: list[Job] = []

    def add_another(step: str) -> None:
        if step == "result" and not later:
            later.append(upload(app, "later.mp4"))
            server.hold = "decoded"

    server.after = add_another
    first = upload(app)
    wait_until(lambda: server.reached.count("decoded") == 2, TIMEOUT_S)
    wait_until(lambda: app.store.get(first.id).result is not None, TIMEOUT_S)
    assert app.store.get(first.id).timeline is None
    server.go.set()
    for job in (first, later[0]):
        assert wait_for_end(app.store, job.id).state is State.DONE
    assert "windows" not in server.reached[: server.reached.index("result", 4)]


def holding_a_timeline(app: Application, server: FakeServer) -> list[Job]:
    """Three clips that have their result: the timeline of the first is under way, and held."""
    server.hold = "windows"
    jobs = [upload(app)]
    reached(server, "windows")
    jobs += [upload(app, f"{name}.mp4") for name in ("second", "third")]
    wait_until(lambda: all(app.store.get(job.id).result for job in jobs), TIMEOUT_S)
    return jobs


def test_a_clip_that_waits_for_its_timeline_is_not_watched(
    app: Application, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = holding_a_timeline(app, server)
    asked: list[str] = []
    get = app.store.get

    def ask(identifier: str) -> Job:
        asked.append(identifier)
        return get(identifier)

    monkeypatch.setattr("ui.jobs.runner.WATCH_EVERY_S", 0.01)
    monkeypatch.setattr(app.store, "get", ask)
    wait_until(lambda: asked.count(jobs[0].id) >= 2, TIMEOUT_S)
    asked.clear()  # Of a look that began before they had their result.
    wait_until(lambda: asked.count(jobs[0].id) >= 5, TIMEOUT_S)
    assert set(asked) == {jobs[0].id}
    server.go.set()


def test_a_clip_that_waits_for_its_timeline_can_be_cancelled_and_deleted(
    app: Application, server: FakeServer
) -> None:
    first, cancelled, deleted = holding_a_timeline(app, server)
    by_another = upload(app, "fourth.mp4")
    wait_until(lambda: app.store.get(by_another.id).result is not None, TIMEOUT_S)
    assert app.runner.cancel(cancelled.id).state is State.CANCELLED
    app.library(EVERYONE).delete(deleted.id)
    app.store.request_cancel(by_another.id)
    server.go.set()
    assert wait_for_end(app.store, first.id).state is State.DONE
    assert wait_for_end(app.store, by_another.id).state is State.CANCELLED
    assert app.store.get(cancelled.id).result is not None
    assert server.reached.count("windows") == 1


def test_a_stop_keeps_results(settings: Settings, store: JobStore, server: FakeServer) -> None:
    with running(settings, store, server) as first:
        jobs = holding_a_timeline(first, server)
    for job in jobs:
        left = store.get(job.id)
        assert (left.state, left.attempts, left.timeline) == (State.WORKING, 0, None)
        assert left.result is not None
    server.reached.clear()
    server.hold = None
    with running(settings, store, server):
        for job in jobs:
            done = wait_for_end(store, job.id)
            assert (done.state, done.failure) == (State.DONE, None)
            assert done.timeline is not None and len(done.timeline.windows) == server.windows
    assert server.reached == ["windows"] * 3


def test_a_failed_timeline_leaves_the_result(app: Application, server: FakeServer) -> None:
    server.fails["windows"] = ServerLostError("the connection broke")
    done = wait_for_end(app.store, upload(app).id)
    assert done.state is State.DONE and done.result is not None and done.timeline is not None
    assert done.stages["timeline"].state is StageState.ABSENT
    assert done.stages["timeline"].detail == "the connection broke"
    schemas.check(done.timeline.to_dict(), "timeline")
    assert done.timeline.warnings == ("the timeline ends early: the connection broke",)


def test_a_failure_names_the_clip_and_no_path(
    app: Application, server: FakeServer, settings: Settings
) -> None:
    server.after = lambda step: server.fails.update(
        decoded=NotAVideoError(f"{server.paths[-1]}: this is not a video. See {settings.data}/x.")
    )
    failed = wait_for_end(app.store, upload(app, "my notes.mp4").id)
    assert failed.state is State.FAILED and failed.failure is not None
    assert failed.failure.kind == "NotAVideoError"
    assert failed.failure.message == "my notes.mp4: this is not a video. See my notes.mp4."
    assert failed.failure.advice == advice.ADVICE["NotAVideoError"]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ServerUnavailableError("nothing answers"), "ServerUnavailableError", "make serve"),
        (OSError(errno.ENOSPC, "No space left"), "DiskFullError", "Delete clips"),
        (ZeroDivisionError("secret internals"), "InternalError", "log"),
    ],
)
def test_any_error_fails_the_job_and_the_next_one_is_worked_on(
    app: Application,
    server: FakeServer,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    kind: str,
    words: str,
) -> None:
    server.fails["evidence"] = error
    failed = wait_for_end(app.store, upload(app).id)
    assert failed.failure is not None
    assert failed.failure.kind == kind
    assert words in failed.failure.advice
    assert "secret" not in failed.failure.message
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert bool(logged) == (kind == "InternalError")
    assert all(record.exc_info for record in logged)
    server.fails.clear()
    assert wait_for_end(app.store, upload(app).id).state is State.DONE


def test_a_stopped_runner_leaves_the_job_to_the_next_one(
    settings: Settings, store: JobStore, server: FakeServer
) -> None:
    server.hold = "result"
    with running(settings, store, server) as first:
        job = upload(first)
        reached(server, "result")
    assert (store.get(job.id).state, store.get(job.id).attempts) == (State.WAITING, 0)
    server.hold = None
    with running(settings, store, server):
        assert wait_for_end(store, job.id).state is State.DONE


def test_a_killed_app_s_job_is_taken_up_again_but_not_for_ever(
    settings: Settings, store: JobStore, server: FakeServer
) -> None:
    job = store.create("clip.mp4", Source(SourceKind.UPLOAD, "clip.mp4"), STAGES[1:])
    for _ in range(3):
        assert store.claim() is not None
        assert store.release_all() == []
    failed = store.get(job.id)
    assert failed.state is State.FAILED and failed.failure is not None
    assert failed.failure.kind == "AppEndedError"
    other = store.create(
        "clip.mp4",
        Source(SourceKind.UPLOAD, "clip.mp4"),
        STAGES[1:],
        lambda folder: (folder / "clip.mp4").write_bytes(VIDEO),
    )
    assert store.claim() is not None
    with running(settings, store, server):
        assert wait_for_end(store, other.id).state is State.DONE


def test_two_apps_do_not_share_a_folder(
    app: Application, settings: Settings, store: JobStore
) -> None:
    with pytest.raises(FolderInUseError, match="VEMOCLAP_APP_DATA"):
        Runner(settings, store).start()


def test_leftovers_are_removed_at_the_start(
    settings: Settings, store: JobStore, server: FakeServer
) -> None:
    old, new = store.uploads / ("a" * 32), store.uploads / ("b" * 32)
    for path in (old, new):
        path.write_bytes(VIDEO)
    two_days_ago = time.time() - 2 * 86400

    os.utime(old, (two_days_ago, two_days_ago))
    with running(settings, store, server):
        assert not old.exists()
        assert new.exists()


def test_a_clip_of_the_server_must_lie_in_its_folder(
    app: Application, settings: Settings, tmp_path: Path
) -> None:
    outside = tmp_path / "private.mp4"
    outside.write_bytes(VIDEO)
    assert settings.folder is not None
    link = settings.folder / "link.mp4"
    link.symlink_to(outside)
    for path in (outside, link, settings.folder / ".." / "private.mp4"):
        for kind in (SourceKind.FOLDER, SourceKind.SAMPLE):
            with pytest.raises(ClipNotAllowedError):
                app.library(EVERYONE).add("clip", Source(kind, str(path)))
    for received in (outside, app.store.uploads / ".." / "jobs.sqlite"):
        with pytest.raises(ClipNotAllowedError):
            app.library(EVERYONE).add("clip", Source(SourceKind.UPLOAD, str(received)))
    with pytest.raises(VideoNotFoundError):
        app.library(EVERYONE).add(
            "clip", Source(SourceKind.FOLDER, str(settings.folder / "none.mp4"))
        )
    with pytest.raises(BadLinkError):
        app.library(EVERYONE).add("clip", Source(SourceKind.LINK, "no link"))
    assert app.store.list_jobs() == []


def test_a_clip_that_became_a_link_to_outside_is_refused(
    settings: Settings, store: JobStore, server: FakeServer, tmp_path: Path
) -> None:
    assert settings.folder is not None
    (settings.folder / "clip.mp4").write_bytes(VIDEO)
    source = Source(SourceKind.FOLDER, str(settings.folder / "clip.mp4"))
    job = store.create("clip.mp4", source, STAGES[1:])
    (tmp_path / "private.mp4").write_bytes(VIDEO)
    (settings.folder / "clip.mp4").unlink()
    (settings.folder / "clip.mp4").symlink_to(tmp_path / "private.mp4")
    with running(settings, store, server):
        failed = wait_for_end(store, job.id)
    assert failed.failure is not None and failed.failure.kind == "ClipNotAllowedError"
    assert server.reached == []


def test_a_clip_of_the_server_is_used_where_it_is(
    app: Application, settings: Settings, server: FakeServer
) -> None:
    assert settings.folder is not None
    clip = settings.folder / "clip.mp4"
    clip.write_bytes(VIDEO)
    job = app.library(EVERYONE).add("clip.mp4", Source(SourceKind.FOLDER, str(clip)))
    assert wait_for_end(app.store, job.id).state is State.DONE
    assert server.paths == [clip.resolve()]
    assert media.clip_path(app.store, job) == clip.resolve()


class Fetching:
    """Stands for fetching.fetch: it reports the same progress until `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.progress = FetchProgress(25_000_000, 100_000_000)
        self.error: Exception | None = None
        self.limits: FetchLimits | None = None

    @contextmanager
    def __call__(
        self,
        url: str,
        limits: FetchLimits,
        on_progress: Callable[[FetchProgress], None],
        folder: Path,
        decoder: object,
    ) -> Iterator[Fetched]:
        self.limits = limits
        if self.error:
            raise self.error
        deadline = time.monotonic() + 3 * TIMEOUT_S
        while not self.go.wait(0.05):
            assert time.monotonic() < deadline
            on_progress(self.progress)
        path = folder / "download.webm"
        path.write_bytes(VIDEO)
        yield Fetched(path, "A title", url)


@pytest.fixture
def fetching(monkeypatch: pytest.MonkeyPatch) -> Fetching:
    stand_in = Fetching()
    monkeypatch.setattr(work, "fetch", stand_in)
    return stand_in


def add_link(app: Application) -> Job:
    return app.library(EVERYONE).add(LINK, Source(SourceKind.LINK, f" {LINK} "))


@pytest.mark.parametrize(
    ("expected", "shown"),
    [(100_000_000, (0.25, "25.0 of 100.0 MB")), (None, (None, "25.0 MB"))],
)
def test_a_link_is_fetched_first(
    app: Application,
    fetching: Fetching,
    settings: Settings,
    server: FakeServer,
    expected: int | None,
    shown: tuple[float | None, str],
) -> None:
    fetching.progress = FetchProgress(25_000_000, expected)
    job = add_link(app)
    assert list(job.stages) == list(STAGES)
    wait_until(lambda: app.store.get(job.id).stages["fetch"].detail, TIMEOUT_S)
    stage = app.store.get(job.id).stages["fetch"]
    assert (stage.progress, stage.detail) == shown
    fetching.go.set()
    done = wait_for_end(app.store, job.id)
    assert (done.state, done.name) == (State.DONE, "A title")
    assert done.result is not None and done.result.video == "A title"
    assert [path.name for path in server.paths] == ["clip.webm"]
    assert {path.name for path in app.store.folder(job.id).iterdir()} == {"clip.webm", "frames"}
    assert fetching.limits is not None
    assert fetching.limits.size_bytes == settings.upload_limit_bytes
    assert fetching.limits.duration_s == settings.duration_limit_s


def test_a_link_of_an_owner_takes_no_more_than_is_left(
    settings: Settings, store: JobStore, server: FakeServer, fetching: Fetching
) -> None:
    settings = dataclasses.replace(settings, owner_mb=5)
    anna = Owner.from_token("anna")
    job = store.create("large.mp4", Source(SourceKind.UPLOAD, "large.mp4"), STAGES[1:], owner=anna)
    (store.folder(job.id) / "clip.mp4").write_bytes(bytes(3_000_000))
    fetching.go.set()
    with running(settings, store, server) as app:
        assert wait_for_end(store, job.id).state is State.DONE
        left = 5_000_000 - store.used_bytes(anna)
        link = app.library(anna).add(LINK, Source(SourceKind.LINK, LINK))
        assert wait_for_end(store, link.id).state is State.DONE
    assert fetching.limits is not None and fetching.limits.size_bytes == left


def test_a_download_can_be_cancelled(app: Application, fetching: Fetching) -> None:
    job = add_link(app)
    wait_until(lambda: app.store.get(job.id).stages["fetch"].progress is not None, TIMEOUT_S)
    assert app.runner.cancel(job.id).state is State.CANCELLED
    # The one thread takes the next job only when it is done with this one.
    other = upload(app)
    assert wait_for_end(app.store, other.id).state is State.DONE


@pytest.mark.parametrize("error", [JavaScriptNeededError("needs Deno"), BotCheckError("a bot?")])
def test_where_a_site_refuses_an_upload_is_offered(
    app: Application, fetching: Fetching, error: Exception
) -> None:
    fetching.error = error
    failed = wait_for_end(app.store, add_link(app).id)
    assert failed.failure is not None
    assert failed.failure.kind == type(error).__name__
    assert advice.UPLOAD_INSTEAD in failed.failure.advice


def test_every_error_of_the_client_has_advice() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) > 20
    for kind in kinds:
        if not issubclass(kind, errors.VemoclapError) or issubclass(kind, errors.BatchError):
            continue  # The app runs no batches.
        if kind is not errors.VemoclapError:
            assert advice.advice_for(kind("x")) != advice.ASK_OPERATOR, kind


def test_advice_is_for_errors_that_exist() -> None:
    ours = {"ClipNotAllowedError", "AppEndedError", "DiskFullError", "InternalError"}
    ours |= {"StoredDocumentError", "OwnerLimitError", "OwnerSpaceError"}
    assert set(advice.ADVICE) - ours <= set(vars(errors))


@pytest.mark.parametrize("duration_s", [0.04, 1.0, 4.0, 12.345678, 40.0, 3599.9, 36_000.0])
def test_windows_have_lengths_that_the_client_takes(duration_s: float) -> None:
    window_s, hop_s = work.window_lengths(duration_s)
    check_lengths(window_s, hop_s)
    assert hop_s >= 2
    if 32 <= duration_s <= 4800:
        assert duration_s / hop_s == pytest.approx(16, rel=0.01)


def test_a_short_clip_s_timeline_is_its_result(
    settings: Settings, store: JobStore, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "window_lengths", lambda duration_s: (duration_s, duration_s))
    with running(settings, store, server) as app:
        done = wait_for_end(store, upload(app).id)
    assert done.result is not None and done.timeline is not None
    assert "windows" not in server.reached
    [window] = done.timeline.windows
    assert window.probabilities == done.result.probabilities
    assert set(window.contributions) == set(MODALITIES)
    schemas.check(done.timeline.to_dict(), "timeline")
