"""Each owner sees, opens, compares, exports and deletes their own clips, and no others."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.unit.app_fixture import UPLOAD, done_job, waiting_job
from ui.application import Application
from ui.jobs.job import STAGES, Job, State
from ui.jobs.store import JobNotFoundError, JobStore
from ui.owners import EVERYONE, Owner

ISSUER = "https://login.example"
ANNA = Owner.from_user(ISSUER, "1001")
BEN = Owner.from_user(ISSUER, "1002")

OLD_TABLE = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, created_at TEXT NOT NULL, state TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX by_state ON jobs (state, created_at);
"""


def test_owners_differ_as_those_who_they_stand_for() -> None:
    owners = [
        ANNA,
        BEN,
        Owner.from_user(f"{ISSUER}/other", "1001"),
        Owner.from_user(ISSUER + '", "10', "01"),
        Owner.from_user("", ""),
        Owner.from_token("1001"),
        Owner.from_token(f"{ISSUER} 1001"),
        Owner.from_token(""),
        EVERYONE,
    ]
    assert len({owner.key for owner in owners}) == len(owners)
    assert [owner for owner in owners if owner.is_everyone] == [EVERYONE]
    assert Owner.from_user(ISSUER, "1001") == ANNA
    assert ISSUER not in repr(ANNA) and "1001" not in ANNA.key[:4]


def test_another_owner_s_clip_is_none(app: Application) -> None:
    job = app.store.create("anna.mp4", UPLOAD, STAGES[1:], owner=ANNA)
    anna, ben = app.library(ANNA), app.library(BEN)
    for use in (ben.get, ben.cancel, ben.delete):
        with pytest.raises(JobNotFoundError) as never_there:
            use("nobody")
        with pytest.raises(JobNotFoundError) as not_theirs:
            use(job.id)
        assert str(not_theirs.value).replace(job.id, "nobody") == str(never_there.value)
    assert ben.list_jobs() == []
    assert anna.get(job.id).state is State.WAITING
    assert anna.cancel(job.id).state is State.CANCELLED
    anna.delete(job.id)
    assert anna.list_jobs() == []
    assert not app.store.folder(job.id).exists()


def test_each_sees_their_own_and_the_shared_library_all(app: Application) -> None:
    def finish(job: Job) -> Job:
        return replace(job, state=State.DONE, result=shared.result)

    shared = done_job(app.store, "shared.mp4")
    for owner, name in ((ANNA, "anna.mp4"), (BEN, "ben.mp4")):
        job = app.store.create(name, UPLOAD, STAGES[1:], owner=owner)
        app.store.change(job.id, finish)
    names = {
        owner: [job.name for job in app.library(owner).list_jobs()]
        for owner in (ANNA, BEN, EVERYONE)
    }
    assert names == {
        ANNA: ["anna.mp4"],
        BEN: ["ben.mp4"],
        EVERYONE: ["ben.mp4", "anna.mp4", "shared.mp4"],
    }
    latest = app.library(ANNA).latest_done()
    assert latest is not None and latest.name == "anna.mp4"
    assert app.library(Owner.from_token("anna.mp4")).latest_done() is None


@pytest.mark.parametrize("key", ["' OR 1=1 --", "%", "NULL", '"'])
def test_a_key_is_never_a_part_of_a_query(app: Application, key: str) -> None:
    app.store.create("anna.mp4", UPLOAD, STAGES[1:], owner=ANNA)
    assert app.library(Owner(key)).list_jobs() == []


def test_work_on_a_clip_leaves_its_owner(app: Application) -> None:
    job = app.store.create("anna.mp4", UPLOAD, STAGES[1:], owner=ANNA)
    claimed = app.store.claim()
    assert claimed is not None and claimed.id == job.id
    app.store.change(job.id, lambda job: replace(job, name="another name"))
    app.store.release(job.id)
    assert app.library(ANNA).get(job.id).name == "another name"
    with pytest.raises(JobNotFoundError):
        app.library(BEN).get(job.id)


def test_a_database_without_owners_is_taken_over(tmp_path: Path) -> None:
    """What was in it has no owner: nobody who signs in sees it, the shared library does."""
    older = JobStore(tmp_path)
    job = waiting_job(older)
    database = tmp_path / "jobs.sqlite"
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT id, created_at, state, document FROM jobs").fetchall()
        connection.executescript(f"DROP TABLE jobs; {OLD_TABLE}")
        connection.executemany("INSERT INTO jobs VALUES (?, ?, ?, ?)", rows)
    # Several processes may start on it at once.
    barrier = threading.Barrier(4)

    def open_store(_: int) -> JobStore:
        barrier.wait()
        return JobStore(tmp_path)

    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(open_store, range(4)))
    for store in stores:
        assert store.get(job.id) == job
        assert store.list_jobs(ANNA) == []
    assert stores[0].create("anna.mp4", UPLOAD, STAGES[1:], owner=ANNA)
    assert [found.name for found in stores[1].list_jobs(ANNA)] == ["anna.mp4"]
