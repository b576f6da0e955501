"""Uploads go straight to disk: limits, interruptions, refusals, memory, Streamlit itself."""

import asyncio
import errno
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message
from streamlit import config, runtime
from streamlit.runtime import Runtime
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from ui.application import Application
from ui.jobs.job import Source, SourceKind
from ui.jobs.runner import Runner
from ui.jobs.store import JobStore
from ui.owners import EVERYONE
from ui.settings import Settings
from ui.uploads import reception as uploads
from ui.uploads.reception import UploadGoneError, UploadsToDisk, make_token, take_upload

URL = "/_stcore/upload_file/open-session/file-1"
NAME = "Ünïcode; name=x ../name.mp4"
MB = 1_000_000


class Uploaded:
    """What st.file_uploader gives a page."""

    def __init__(self, content: bytes, name: str = "clip.mp4") -> None:
        self.name = name
        self._content = content

    def getvalue(self) -> bytes:
        return self._content


class FakeStreamlit:
    """Takes uploads as Streamlit does; `status` is its answer."""

    def __init__(self) -> None:
        self.status = 204
        self.files: list[Uploaded] = []
        self.types: list[str | None] = []
        self.asked: list[str] = []

    async def answer(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.url.path}")
        if request.method == "PUT":
            form = await request.form()
            for value in form.values():
                assert isinstance(value, UploadFile)
                self.files.append(Uploaded(await value.read(), value.filename or ""))
                self.types.append(value.content_type)
            await form.close()
        return Response(status_code=self.status)


@pytest.fixture
def app(tmp_path: Path) -> Application:
    settings = Settings(tmp_path / "data", upload_limit_mb=2)
    store = JobStore(settings.data)
    return Application(settings, store, Runner(settings, store))


@pytest.fixture
def behind() -> FakeStreamlit:
    return FakeStreamlit()


@pytest.fixture
def sessions() -> set[str]:
    """Those that browsers have open."""
    return {"open-session"}


@pytest.fixture
def web(app: Application, behind: FakeStreamlit, sessions: set[str]) -> Iterator[TestClient]:
    route = Route("/{path:path}", behind.answer, methods=["GET", "PUT", "DELETE"])
    middleware = Middleware(
        UploadsToDisk, lambda _: app.library(EVERYONE), lambda session: session in sessions
    )
    with TestClient(Starlette(routes=[route], middleware=[middleware])) as client:
        yield client


def kept(app: Application) -> list[Path]:
    return list(app.store.uploads.iterdir())


def form(content: bytes, name: str = "clip.mp4", kind: str = "video/mp4") -> dict[str, Any]:
    return {"file": (name, content, kind)}


def test_a_file_goes_to_disk_and_streamlit_gets_a_token(
    app: Application, web: TestClient, behind: FakeStreamlit
) -> None:
    content = secrets.token_bytes(MB) + b"\r\n--boundary--\r\n"
    assert web.put(URL, files=form(content, NAME)).status_code == 204
    [token] = behind.files
    assert len(token.getvalue()) < 100
    assert (token.name, behind.types) == (NAME, ["video/mp4"])
    path = take_upload(app.library(EVERYONE), token)
    assert path.read_bytes() == content
    assert path.parent == app.store.uploads
    assert "name" not in path.name
    job = app.library(EVERYONE).add(token.name, Source(SourceKind.UPLOAD, str(path)))
    assert (app.store.folder(job.id) / "clip.mp4").read_bytes() == content
    assert kept(app) == []
    with pytest.raises(UploadGoneError, match="upload it again"):
        take_upload(app.library(EVERYONE), token)


def test_an_empty_file_is_received_too(
    app: Application, web: TestClient, behind: FakeStreamlit
) -> None:
    assert web.put(URL, files=form(b"")).status_code == 204
    assert take_upload(app.library(EVERYONE), behind.files[0]).read_bytes() == b""


def test_a_form_cut_anywhere_is_read_the_same(app: Application, behind: FakeStreamlit) -> None:
    content = b"\r\n--edg\r\n--\r\n-" * 3
    body = PART + content + b"\r\n--edge--\r\n"
    for size in (1, 2, 7, 64):
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        assert put(app, behind, pieces, FORM) == 204
        assert take_upload(app.library(EVERYONE), behind.files.pop()).read_bytes() == content


def put(
    app: Application,
    behind: FakeStreamlit,
    pieces: Iterable[bytes],
    content_type: str,
    *,
    disconnects: bool = False,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    on_piece: Callable[[], object] = lambda: None,
) -> int | None:
    """The status of the answer to a body in these pieces; None if there is none."""
    middleware = UploadsToDisk(
        Starlette(routes=[Route("/{path:path}", behind.answer, methods=["PUT"])]),
        lambda _: app.library(EVERYONE),
        lambda session: True,
    )
    left = iter(pieces)
    statuses = []

    async def receive() -> Message:
        on_piece()
        piece = next(left, None)
        if piece is None and disconnects:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": "PUT",
        "path": URL,
        "query_string": b"",
        "headers": [(b"content-type", content_type.encode()), *headers],
    }
    asyncio.run(middleware(scope, receive, send))
    return statuses[0] if statuses else None


PART = b'--edge\r\nContent-Disposition: form-data; name="f"; filename="c.mp4"\r\n\r\n'
FORM = "multipart/form-data; boundary=edge"


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_over_the_limit_is_refused(
    app: Application, behind: FakeStreamlit, announced: bool
) -> None:
    size = 4 * MB if announced else 0
    headers = ((b"content-length", str(size).encode()),) if announced else ()
    pieces = [PART] + [bytes(100_000)] * 40 + [b"\r\n--edge--\r\n"]
    assert put(app, behind, pieces, FORM, headers=headers) == 413
    assert (kept(app), behind.asked) == ([], [])


def test_a_file_of_just_the_limit_is_taken(app: Application, behind: FakeStreamlit) -> None:
    pieces = [PART] + [bytes(100_000)] * 20
    assert put(app, behind, [*pieces, b"\r\n--edge--\r\n"], FORM) == 204
    assert put(app, behind, [*pieces, b"x\r\n--edge--\r\n"], FORM) == 413


def test_the_limit_is_told(web: TestClient) -> None:
    answer = web.put(URL, files=form(bytes(4 * MB)))
    assert (answer.status_code, answer.text) == (413, "This file is larger than 2 MB.")


def test_a_client_that_goes_leaves_nothing(app: Application, behind: FakeStreamlit) -> None:
    pieces = [PART] + [bytes(100_000)] * 15
    assert put(app, behind, pieces, FORM, disconnects=True) is None
    assert (kept(app), behind.asked) == ([], [])


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", FORM),
        (b"no form at all", FORM),
        (PART + b"cut off", FORM),
        (b'--edge\r\nContent-Disposition: form-data; name="f"\r\n\r\nfield\r\n--edge--\r\n', FORM),
        ((PART + b"a\r\n") * 2 + b"--edge--\r\n", FORM),
        (b'--edge\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + bytes(2 * MB), FORM),
        (PART + b"\r\n--edge--\r\n", "multipart/form-data"),
        (PART + b"\r\n--edge--\r\n", "application/octet-stream"),
        (b"f=1", "application/x-www-form-urlencoded"),
        (b"--edge\r\n" + b"x" * 100_000, FORM),
    ],
)
def test_what_is_not_one_file_is_refused(
    app: Application, behind: FakeStreamlit, body: bytes, content_type: str
) -> None:
    assert put(app, behind, [body], content_type) == 400
    assert (kept(app), behind.asked) == ([], [])


def test_a_full_disk_is_told(
    app: Application, web: TestClient, behind: FakeStreamlit, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(free=uploads.FREE_BYTES_MIN)
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda path: free)
    answer = web.put(URL, files=form(bytes(MB)))
    assert (answer.status_code, kept(app), behind.asked) == (507, [], [])
    assert "no space" in answer.text

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(uploads.shutil, "disk_usage", fail)
    assert web.put(URL, files=form(bytes(MB))).status_code == 507
    assert kept(app) == []


@pytest.mark.parametrize("status", [400, 403, 413, 500])
def test_what_streamlit_refuses_does_not_stay(
    app: Application, web: TestClient, behind: FakeStreamlit, status: int
) -> None:
    behind.status = status
    assert web.put(URL, files=form(b"video")).status_code == status
    assert len(behind.files) == 1
    assert kept(app) == []


def test_without_a_session_nothing_is_received(
    app: Application, web: TestClient, behind: FakeStreamlit
) -> None:
    behind.status = 400
    other = URL.replace("open-session", "other")
    assert web.put(other, files=form(b"video")).status_code == 400
    assert behind.files[0].getvalue() == b"video"
    assert kept(app) == []


def test_what_a_page_left_goes_when_its_session_has_ended(
    app: Application,
    web: TestClient,
    sessions: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def upload(session: str) -> int:
        """How many files there are after an upload of this session."""
        url = URL.replace("open-session", session)
        assert web.put(url, files=form(b"video")).status_code == 204
        return len(kept(app))

    passed_s = 0.0
    clock = SimpleNamespace(monotonic=lambda: passed_s)
    monkeypatch.setattr(uploads, "time", clock)
    sessions.add("other")
    assert [upload("open-session"), upload("other")] == [1, 2]
    passed_s = 2 * uploads.LEFT_AFTER_S
    assert upload("other") == 3, "its page is still there"
    sessions.remove("open-session")
    assert upload("other") == 4, "it may have lost its connection for a moment only"
    sessions.add("open-session")
    assert upload("other") == 5
    sessions.remove("open-session")
    passed_s *= 2
    assert upload("other") == 6, "since then it was there again"
    passed_s *= 2
    assert upload("other") == 6


def test_other_requests_pass(web: TestClient, behind: FakeStreamlit) -> None:
    web.get(URL)
    web.delete(URL)
    web.get("/clips/x/clip")
    web.put("/elsewhere", files=form(b"video"))
    assert behind.asked == [f"GET {URL}", f"DELETE {URL}", "GET /clips/x/clip", "PUT /elsewhere"]
    assert behind.files[0].getvalue() == b"video"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"3",
        b"{}",
        b'{"vemoclap_upload": 3}',
        b'{"vemoclap_upload": "../jobs.sqlite"}',
        b'{"vemoclap_upload": "' + b"A" * 32 + b'"}',
        make_token("everyone-" + "0" * 32),
        make_token("everyone-" + "0" * 32 + "/../../jobs.sqlite"),
    ],
)
def test_only_tokens_of_files_that_are_there_are_taken(app: Application, content: bytes) -> None:
    with pytest.raises(UploadGoneError):
        take_upload(app.library(EVERYONE), Uploaded(content))


def test_a_large_upload_needs_little_memory(app: Application, behind: FakeStreamlit) -> None:
    """128 MB in pieces of 64 KB, as the server hands them on."""
    settings = Settings(app.settings.data, upload_limit_mb=200)
    large = Application(settings, app.store, app.runner)
    piece, count = bytes(1 << 16), 2000
    process = psutil.Process()
    before = process.memory_info().rss
    used: list[int] = []
    body = chain([PART], repeat(piece, count), [b"\r\n--edge--\r\n"])
    status = put(large, behind, body, FORM, on_piece=lambda: used.append(process.memory_info().rss))
    assert status == 204
    assert take_upload(large.library(EVERYONE), behind.files[0]).stat().st_size == count * len(
        piece
    )
    assert max(used) - before < 30 * MB


@pytest.fixture
def streamlit_web(
    app: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """The real Streamlit behind the middleware, with one open session."""
    script = tmp_path / "page.py"
    script.write_text("import streamlit as st")
    # There is one of each in a process: the next test must not find them.
    for owner, name in ((Runtime, "_instance"), (config, "_main_script_path")):
        monkeypatch.setattr(owner, name, None)
    monkeypatch.setattr(config, "_server_mode", None)
    monkeypatch.setattr(Runtime, "is_active_session", lambda _, session: session == "open-session")
    served = st.App(script, middleware=[Middleware(UploadsToDisk, lambda _: app.library(EVERYONE))])
    with TestClient(served) as client:
        client.get("/_stcore/health")
        yield client


def test_streamlit_takes_the_token(app: Application, streamlit_web: TestClient) -> None:
    xsrf = {"X-Xsrftoken": streamlit_web.cookies["_streamlit_xsrf"]}
    content = secrets.token_bytes(MB)
    assert streamlit_web.put(URL, files=form(content, NAME), headers=xsrf).status_code == 204
    manager = runtime.get_instance().uploaded_file_mgr
    [record] = manager.get_files("open-session", ["file-1"])
    assert isinstance(record, UploadedFileRec)
    assert (record.name, record.type) == (NAME, "video/mp4")
    assert len(record.data) < 100
    assert take_upload(app.library(EVERYONE), Uploaded(record.data)).read_bytes() == content


def test_streamlit_s_refusals_are_kept_to(app: Application, streamlit_web: TestClient) -> None:
    assert streamlit_web.put(URL, files=form(b"video")).status_code == 403
    other = URL.replace("open-session", "other")
    xsrf = {"X-Xsrftoken": streamlit_web.cookies["_streamlit_xsrf"]}
    assert streamlit_web.put(other, files=form(b"video"), headers=xsrf).status_code == 400
    assert kept(app) == []
