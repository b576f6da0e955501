"""One owner cannot take everything: clips that wait, space on the disk, uploads at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message

from tests.unit.app_fixture import UPLOAD, RecordingRunner
from tests.unit.test_app_store import end
from ui.application import Application
from ui.jobs.advice import to_failure
from ui.jobs.job import STAGES, OwnerLimitError, OwnerSpaceError, Source, SourceKind
from ui.jobs.library import Library
from ui.jobs.store import JobStore
from ui.owners import EVERYONE, Owner
from ui.settings import Settings
from ui.uploads.reception import UploadGoneError, UploadsToDisk, make_token, take_upload

ANNA, BEN = Owner.from_user("https://login.example", "1"), Owner.from_token("ben")
LINK = Source(SourceKind.LINK, "https://videos.example/1")
URL = "/_stcore/upload_file/session/file"
MB = 1_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "data", upload_limit_mb=3, owner_jobs=3, owner_mb=5)


@pytest.fixture
def library(settings: Settings) -> Callable[[Owner], Library]:
    store = JobStore(settings.data)
    return Application(settings, store, RecordingRunner(settings, store)).library


@pytest.fixture
def store(settings: Settings) -> JobStore:
    return JobStore(settings.data)


def add_bytes(store: JobStore, owner: Owner, size: int) -> str:
    """A clip of that size, which is over."""

    def fill(folder: Path) -> None:
        (folder / "frames").mkdir()
        (folder / "clip.mp4").write_bytes(bytes(size - 10))
        (folder / "frames" / "00.jpg").write_bytes(bytes(10))

    job = store.create("clip.mp4", UPLOAD, STAGES[1:], fill, owner)
    end(store, job)
    return job.id


def test_only_so_many_clips_of_an_owner_wait(
    library: Callable[[Owner], Library], store: JobStore
) -> None:
    with ThreadPoolExecutor(8) as pool:
        added = [pool.submit(library(ANNA).add, LINK.location, LINK) for _ in range(10)]
    refused = [future.exception() for future in added if future.exception()]
    assert len(library(ANNA).list_jobs()) == 3
    assert len(refused) == 7 and all(isinstance(error, OwnerLimitError) for error in refused)
    library(BEN).add(LINK.location, LINK)
    for _ in range(5):
        library(EVERYONE).add(LINK.location, LINK)
    end(store, store.get(library(ANNA).list_jobs()[0].id))
    library(ANNA).add(LINK.location, LINK)


def test_an_owner_has_only_so_much_on_the_disk(
    library: Callable[[Owner], Library], store: JobStore
) -> None:
    first = add_bytes(store, ANNA, 3 * MB)
    assert store.used_bytes(ANNA) == 3 * MB
    assert library(ANNA).check_room() == 2 * MB
    assert library(BEN).check_room() == 3 * MB, "no more than a clip may have"
    (store.uploads / f"{ANNA.tag}-{'0' * 32}").write_bytes(bytes(2 * MB))
    with pytest.raises(OwnerSpaceError, match=r"0\.005 GB") as error:
        library(ANNA).add(LINK.location, LINK)
    failure = to_failure(error.value, str(error.value))
    assert failure.kind == "OwnerSpaceError" and "Delete clips" in failure.advice
    add_bytes(store, EVERYONE, 6 * MB)
    assert library(EVERYONE).check_room() == 3 * MB
    library(BEN).add(LINK.location, LINK)
    library(ANNA).delete(first)
    library(ANNA).add(LINK.location, LINK)


def upload(to: Library, content: bytes) -> tuple[int, str]:
    """Status and text of the answer to an upload by the owner of this library."""
    route = Route(URL, lambda _: Response(status_code=204), methods=["PUT"])
    middleware = Middleware(UploadsToDisk, lambda _: to, lambda _: True)
    with TestClient(Starlette(routes=[route], middleware=[middleware])) as client:
        answer = client.put(URL, files={"file": ("clip.mp4", content)})
        return answer.status_code, answer.text


def test_an_upload_takes_no_more_than_is_left(
    library: Callable[[Owner], Library], store: JobStore
) -> None:
    add_bytes(store, ANNA, 4 * MB)
    status, text = upload(library(ANNA), bytes(2 * MB))
    assert status == 507 and "your clips may take 0.005 GB" in text
    assert list(store.uploads.iterdir()) == []
    for owner in (BEN, EVERYONE):
        assert upload(library(owner), bytes(2 * MB)) == (204, "")
    assert upload(library(ANNA), bytes(MB // 2)) == (204, "")


def test_an_upload_whose_size_is_not_announced_is_measured(
    library: Callable[[Owner], Library], store: JobStore
) -> None:
    add_bytes(store, ANNA, 4 * MB)
    statuses = asyncio.run(send(library(ANNA), bytes(2 * MB)))
    assert statuses == [507]
    assert list(store.uploads.iterdir()) == []


def test_a_received_file_is_its_owner_s(
    library: Callable[[Owner], Library], store: JobStore
) -> None:
    class Token:
        name = "clip.mp4"

        def getvalue(self) -> bytes:
            return make_token(file.name)

    upload(library(ANNA), b"video")
    [file] = store.uploads.iterdir()
    for other in (BEN, EVERYONE):
        with pytest.raises(UploadGoneError):
            take_upload(library(other), Token())
    path = take_upload(library(ANNA), Token())
    job = library(ANNA).add("clip.mp4", Source(SourceKind.UPLOAD, str(path)))
    assert (store.folder(job.id) / "clip.mp4").read_bytes() == b"video"


def body_of(content: bytes) -> tuple[bytes, bytes]:
    head = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    return head + content + b"\r\n--x--\r\n", b"multipart/form-data; boundary=x"


async def send(
    to: Library,
    content: bytes,
    middleware: UploadsToDisk | None = None,
    on_read: Callable[[], AsyncIterator[None]] | None = None,
) -> list[int]:
    """The statuses that the server answers an upload in one piece with."""
    route = Route(URL, lambda _: Response(status_code=204), methods=["PUT"])
    app = middleware or UploadsToDisk(Starlette(routes=[route]), lambda _: to, lambda _: True)
    body, content_type = body_of(content)
    statuses: list[int] = []

    async def receive() -> Message:
        if on_read is not None:
            async for _ in on_read():
                pass
        return {"type": "http.request", "body": body, "more_body": False}

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = [(b"content-type", content_type), (b"x-owner", to.owner.key.encode())]
    scope = {"type": "http", "method": "PUT", "path": URL, "query_string": b"", "headers": headers}
    await app(scope, receive, answer)
    return statuses


def test_uploads_of_an_owner_wait_for_each_other_and_those_of_others_do_not(
    library: Callable[[Owner], Library], settings: Settings
) -> None:
    libraries = {
        owner: replace(library(owner), settings=replace(settings, owner_uploads=1))
        for owner in (ANNA, BEN)
    }

    def library_of(request: HTTPConnection) -> Library:
        return libraries[Owner(request.headers["x-owner"])]

    async def run() -> list[str]:
        route = Route(URL, lambda _: Response(status_code=204), methods=["PUT"])
        middleware = UploadsToDisk(Starlette(routes=[route]), library_of, lambda _: True)
        seen: list[str] = []
        first_may_end = asyncio.Event()

        async def first() -> AsyncIterator[None]:
            seen.append("first")
            await first_may_end.wait()
            yield

        async def second() -> AsyncIterator[None]:
            seen.append("second")
            yield

        tasks = [asyncio.create_task(send(libraries[ANNA], b"1", middleware, first))]
        while not seen:
            await asyncio.sleep(0.01)
        tasks.append(asyncio.create_task(send(libraries[ANNA], b"2", middleware, second)))
        await asyncio.sleep(0.1)
        # Another owner's goes through from beginning to end, while the second still waits.
        assert await send(libraries[BEN], b"3", middleware) == [204]
        assert seen == ["first"]
        first_may_end.set()
        assert await asyncio.gather(*tasks) == [[204], [204]]
        return seen

    assert asyncio.run(run()) == ["first", "second"]


def test_a_clip_of_one_who_has_none_at_work_goes_first(store: JobStore) -> None:
    for name in ("anna 1", "anna 2", "anna 3"):
        store.create(name, LINK, STAGES, owner=ANNA)
    for name in ("ben 1", "ben 2"):
        store.create(name, LINK, STAGES, owner=BEN)
    claimed = [store.claim() for _ in range(6)]
    names = [job.name if job else None for job in claimed]
    assert names == ["anna 1", "ben 1", "anna 2", "ben 2", "anna 3", None]
