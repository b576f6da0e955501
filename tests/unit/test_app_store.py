"""The app's store of jobs: what is written is read, once each, by any number of users."""

import json
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.timelines import EVEN, make_timeline, make_window
from tests.unit.app_fixture import done_job, failed_job, make_result
from ui.jobs import documents
from ui.jobs.job import (
    STAGES,
    Failure,
    Job,
    KnownEvidence,
    ListedJob,
    ListedResult,
    Source,
    SourceKind,
    Stage,
    StageState,
    State,
)
from ui.jobs.store import JobNotFoundError, JobStore
from ui.owners import EVERYONE, Owner

SOURCE = Source(SourceKind.LINK, "https://videos.example/1")


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "data")


def add(store: JobStore, name: str = "clip.mp4") -> Job:
    return store.create(name, SOURCE, STAGES)


def end(store: JobStore, job: Job, age: timedelta = timedelta()) -> None:
    created_at = datetime.now(UTC) - age
    store.change(job.id, lambda job: replace(job, state=State.DONE, created_at=created_at))


def test_a_job_is_read_as_it_was_written(store: JobStore) -> None:
    job = add(store)
    full = replace(
        job,
        stages={"fetch": Stage(StageState.ABSENT, 0.5, "für später")},
        evidence=KnownEvidence(faces=make_result("clip.mp4", "joy").faces),
        failure=Failure("VideoError", "message", "advice"),
    )
    store.change(job.id, lambda _: full)
    assert store.get(job.id) == full
    assert JobStore(store.data).get(job.id) == full


def test_a_list_leaves_out_what_is_long(store: JobStore) -> None:
    job = add(store)
    result = make_result("clip.mp4", "joy")
    store.change(job.id, lambda _: replace(job, result=result))
    [listed] = store.list_jobs()
    assert (listed.id, listed.created_at) == (job.id, job.created_at)
    assert listed.result == ListedResult(
        probabilities=result.probabilities,
        duration_s=result.duration_s,
        profile=result.profile,
        head=result.head,
    )


def test_a_list_does_not_read_documents(store: JobStore) -> None:
    done_job(store)
    waiting = add(store)
    store.request_cancel(waiting.id)
    listed = store.list_jobs()
    with sqlite3.connect(store.data / "jobs.sqlite") as connection:
        connection.execute("DROP TRIGGER summary_of_changed_job")
        connection.execute("UPDATE jobs SET document = ''")
    assert store.list_jobs() == store.page(2, "") == listed
    assert store.latest_done() == listed[1]


def test_a_folder_without_summaries_gets_them(store: JobStore) -> None:
    job = done_job(store)
    insert(store, "odd", "{}")
    listed = store.list_jobs()
    with sqlite3.connect(store.data / "jobs.sqlite") as connection:
        for what in ("TRIGGER summary_of_changed_job", "TRIGGER summary_of_deleted_job"):
            connection.execute(f"DROP {what}")
        connection.execute("DROP TABLE summaries")
    store = JobStore(store.data)
    with store.connected() as connection:
        summaries = connection.execute("SELECT summary FROM summaries WHERE job_id = ?", (job.id,))
        assert '"joy"' in summaries.fetchone()[0]
    assert store.list_jobs() == listed


def test_summaries_of_another_version_are_made_anew(store: JobStore) -> None:
    done_job(store)
    listed = store.list_jobs()
    with sqlite3.connect(store.data / "jobs.sqlite") as connection:
        connection.execute("UPDATE summaries SET summary = '{}'")
        connection.execute("PRAGMA user_version = 99")
    assert JobStore(store.data).list_jobs() == listed


def test_what_an_older_release_writes_is_listed(store: JobStore) -> None:
    """It knows of no summaries; the triggers are the file's."""
    job = done_job(store)
    with sqlite3.connect(store.data / "jobs.sqlite") as connection:
        renamed = "UPDATE jobs SET document = json_set(document, '$.name', 'new') WHERE id = ?"
        connection.execute(renamed, (job.id,))
    assert [job.name for job in store.list_jobs()] == ["new"]
    store.delete(job.id)
    with store.connected() as connection:
        assert connection.execute("SELECT COUNT(*) FROM summaries").fetchone() == (0,)


def test_jobs_are_counted_by_their_state(store: JobStore) -> None:
    done_job(store)
    failed_job(store)
    add(store)
    mine = store.create("clip.mp4", SOURCE, STAGES, owner=Owner("anna"))
    assert store.count_states(EVERYONE) == {"done": 1, "failed": 1, "waiting": 2}
    assert store.count_states(Owner("anna")) == {"waiting": 1}
    store.delete(mine.id)
    assert store.count_states(Owner("anna"))[State.WAITING] == 0


def test_what_is_kept_is_its_owner_s_alone(store: JobStore) -> None:
    assert store.data.stat().st_mode & 0o777 == 0o700


def test_a_waiting_job_is_claimed_once(store: JobStore) -> None:
    jobs = [add(store) for _ in range(20)]
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: store.claim(), range(30)))
    found = [job.id for job in claimed if job is not None]
    assert sorted(found) == sorted(job.id for job in jobs)
    assert {job.state for job in store.list_jobs()} == {State.WORKING}


def test_jobs_are_claimed_in_the_order_in_which_they_came(store: JobStore) -> None:
    first, second = add(store), add(store)
    claimed = [store.claim(), store.claim()]
    assert [job.id for job in claimed if job] == [first.id, second.id]
    assert [job.id for job in store.list_jobs()] == [second.id, first.id]
    assert store.claim() is None


def test_changes_from_many_threads_are_all_kept(store: JobStore) -> None:
    job = add(store)

    def note(number: int) -> None:
        store.change(job.id, lambda job: replace(job, stages={**job.stages, str(number): Stage()}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, range(40)))
    assert len(store.get(job.id).stages) == len(STAGES) + 40


def test_a_change_that_fails_changes_nothing(store: JobStore) -> None:
    job = add(store)

    def fail(_: Job) -> Job:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.change(job.id, fail)
    assert store.get(job.id) == job
    assert store.claim() is not None


def test_a_job_that_cannot_be_prepared_is_not_there(store: JobStore) -> None:
    def fail(_: Path) -> None:
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        store.create("clip.mp4", SOURCE, STAGES, fail)
    assert store.list_jobs() == []
    assert list((store.data / "jobs").iterdir()) == []


def test_cancelling(store: JobStore) -> None:
    waiting, working, done = add(store), add(store), add(store)
    store.change(working.id, lambda job: replace(job, state=State.WORKING))
    end(store, done)
    assert store.request_cancel(waiting.id).state is State.CANCELLED
    assert store.request_cancel(working.id).state is State.WORKING
    assert store.get(working.id).cancel_requested
    assert store.request_cancel(done.id).state is State.DONE
    assert store.release_all() == []
    assert store.get(working.id).state is State.CANCELLED
    assert store.claim() is None


def test_a_released_job_begins_anew(store: JobStore) -> None:
    job = add(store)
    assert store.claim() is not None
    working = {"fetch": Stage(StageState.WORKING, 0.5)}
    store.change(
        job.id, lambda job: replace(job, stages=working, evidence=KnownEvidence(duration_s=1.0))
    )
    assert store.release(job.id) == replace(job, stages={"fetch": Stage()})


def classified(store: JobStore, attempts: int, timeline: Stage) -> Job:
    """A job that has its result; its timeline is as far as the stage says."""
    growing = None if timeline == Stage() else make_timeline([make_window(0, 8, EVEN)], 4.0)
    return store.change(
        add(store).id,
        lambda job: replace(
            job,
            state=State.WORKING,
            stages={**job.stages, "fusion": Stage(StageState.DONE), "timeline": timeline},
            result=make_result("clip.mp4", "joy"),
            timeline=growing,
            attempts=attempts,
        ),
    )


def test_a_released_job_keeps_its_result(store: JobStore) -> None:
    begun = Stage(StageState.WORKING, 0.5)
    queued, cut_off = classified(store, 0, Stage()), classified(store, 2, begun)
    anew = replace(cut_off, stages={**cut_off.stages, "timeline": Stage()}, timeline=None)
    for _ in range(5):
        assert store.release_all() == [queued.id, cut_off.id]
        assert (store.get(queued.id), store.get(cut_off.id)) == (queued, anew)
    assert store.release(cut_off.id) == anew
    assert store.claim() is None


def test_a_job_whose_timeline_is_there_is_done(store: JobStore) -> None:
    job = classified(store, 1, Stage(StageState.DONE))
    assert store.release_all() == []
    assert store.get(job.id) == replace(job, state=State.DONE)


def test_a_stop_before_the_timeline_takes_no_attempt_back(store: JobStore) -> None:
    assert store.release(classified(store, 2, Stage()).id).attempts == 2
    begun = classified(store, 2, Stage(StageState.WORKING, 0.5))
    assert store.release(begun.id).attempts == 1


def test_a_timeline_at_which_the_app_is_killed_is_given_up(store: JobStore) -> None:
    job = classified(store, 3, Stage(StageState.WORKING, 0.5))
    assert store.release_all() == []
    done = store.get(job.id)
    assert (done.state, done.result, done.failure) == (State.DONE, job.result, None)
    reason = "the app was killed 3 times while it worked on this clip"
    assert done.stages["timeline"] == Stage(StageState.ABSENT, None, reason)
    assert done.timeline is not None and job.timeline is not None
    assert done.timeline.windows == job.timeline.windows
    assert done.timeline.warnings == (f"the timeline ends early: {reason}",)


def test_old_jobs_go_with_their_files(store: JobStore) -> None:
    old, new, waiting = add(store), add(store), add(store)
    (store.folder(old.id) / "clip.mp4").write_bytes(b"video")
    end(store, old, timedelta(days=31))
    end(store, new, timedelta(days=29))
    store.change(
        waiting.id, lambda job: replace(job, created_at=datetime.now(UTC) - timedelta(days=99))
    )
    assert store.delete_older_than(30) == 1
    assert {job.id for job in store.list_jobs()} == {new.id, waiting.id}
    assert not store.folder(old.id).exists()


def test_old_files_without_a_job_go(store: JobStore) -> None:
    job = add(store)
    orphan, fresh = store.folder("orphan"), store.folder("fresh")
    upload = store.uploads / "upload"
    for folder in (orphan, fresh):
        folder.mkdir()
    upload.write_bytes(b"video")
    long_ago = time.time() - 2 * 86400
    for path in (orphan, upload, store.folder(job.id)):
        os.utime(path, (long_ago, long_ago))
    assert store.remove_leftovers(timedelta(days=1)) == 2
    assert not orphan.exists() and not upload.exists()
    assert fresh.exists() and store.folder(job.id).exists()


@pytest.mark.parametrize("identifier", ["", ".", "..", "../uploads", "a/b", "a\0b", "a.b"])
def test_what_could_not_be_an_id_has_no_folder(store: JobStore, identifier: str) -> None:
    with pytest.raises(JobNotFoundError):
        store.folder(identifier)
    with pytest.raises(JobNotFoundError):
        store.get(identifier)


def test_ids_cannot_be_guessed(store: JobStore) -> None:
    identifiers = {add(store).id for _ in range(50)}
    assert len(identifiers) == 50
    assert all(len(identifier) >= 16 for identifier in identifiers)


def test_no_job_of_that_id(store: JobStore) -> None:
    for use in (store.get, store.request_cancel, store.release):
        with pytest.raises(JobNotFoundError, match="too old to be kept"):
            use("nobody")
    store.delete("nobody")


def insert(store: JobStore, identifier: str, document: str, state: State = State.DONE) -> None:
    with sqlite3.connect(store.data / "jobs.sqlite") as connection:
        row = (identifier, "2026-11-23T10:00:00+00:00", state, document)
        columns = "id, created_at, state, document"
        connection.execute(f"INSERT INTO jobs ({columns}) VALUES (?, ?, ?, ?)", row)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_a_job_of_an_older_release_opens(store: JobStore, version: str) -> None:
    """The file is a row of the store before its documents were typed."""
    document = json.loads(Path(__file__).with_name("app_stored_job.json").read_text())
    document["result"]["schema_version"] = version
    if version != "1.2":
        for name in ("attention", "caption"):
            del document["result"][name]
    insert(store, document["id"], json.dumps(document))
    job = store.get(document["id"])
    assert (job.name, job.state, job.failure) == ("an older clip.mp4", State.DONE, None)
    assert job.result is not None and job.timeline is not None
    assert (job.result.emotion, job.result.faces[0].time_s) == ("joy", 1.5)
    assert [window.emotion for window in job.timeline.windows] == ["joy"]
    assert job.evidence.faces == job.result.faces
    assert job.stages["text"].state is StageState.ABSENT
    [listed] = store.list_jobs()
    assert listed.result is not None and listed.result.emotion == "joy"


@pytest.mark.parametrize(
    "document", ["", "[]", "{}", '{"name": "odd.mp4", "result": {"probabilities": {"joy": 1}}}']
)
def test_a_document_that_cannot_be_read_is_a_failure(store: JobStore, document: str) -> None:
    insert(store, "odd", document)
    readable = add(store)
    for job in (store.get("odd"), store.list_jobs()[1]):
        assert (job.id, job.state) == ("odd", State.FAILED)
        assert job.failure is not None and job.failure.kind == "StoredDocumentError"
        assert job.name == ("odd.mp4" if "odd" in document else "clip")
    assert store.list_jobs()[0].id == readable.id
    store.change("odd", lambda job: replace(job, name="another"))
    with sqlite3.connect(store.data / "jobs.sqlite") as connection:
        kept = connection.execute("SELECT document FROM jobs WHERE id = 'odd'").fetchone()
    assert kept == (document,), "another release may read it"
    assert store.delete_older_than(1) == 1


def test_a_waiting_document_that_cannot_be_read_is_passed_over(store: JobStore) -> None:
    insert(store, "odd", "{}", State.WAITING)
    readable = add(store)
    claimed = store.claim()
    assert claimed is not None and claimed.id == readable.id
    assert store.count_waiting() == 0


def test_the_latest_result_is_found_without_reading_the_others(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.latest_done() is None
    for name in ("first.mp4", "second.mp4", "third.mp4"):
        done_job(store, name)
    failed_job(store)
    read: list[str] = []

    def count(row: tuple[str, str, str], kind: type[ListedJob]) -> ListedJob:
        read.append(row[0])
        return documents.read(row, kind)

    monkeypatch.setattr("ui.jobs.store.read", count)
    latest = store.latest_done()
    assert latest is not None and latest.name == "third.mp4"
    assert len(read) == 1
