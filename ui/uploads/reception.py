"""Receives uploads straight to disk; Streamlit, which keeps files in memory, gets a token instead.

`UploadsToDisk` stands before Streamlit and reads the body of an upload as it arrives. What
st.file_uploader gives to a page then holds a token, and `take_upload` finds the file by it.

An app below server.baseUrlPath is not supported: its uploads would not be recognised, stay in
Streamlit's memory, and be refused by `take_upload`.
"""

import errno
import json
import re
import secrets
import shutil
import time
from asyncio import Semaphore
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.application import LibraryOf
from ui.jobs.job import OwnerSpaceError
from ui.jobs.library import Library
from ui.settings import BYTES_PER_MB
from ui.uploads.form import FileParser, ReceivedForm, build_form
from vemoclap_client.files import UNFINISHED

UPLOAD_ROUTE = re.compile(r"/_stcore/upload_file/(?P<session>[^/]+)/[^/]+")
TOKEN_KEY = "vemoclap_upload"
IDENTIFIER = re.compile(r"[0-9a-z]+-[0-9a-f]{32}")
"""Name of a received file: the tag of its owner, and what cannot be guessed."""

WRITE_BYTES = 1 << 20
"""So much is gathered before it is written."""

FREE_BYTES_MIN = 500 * BYTES_PER_MB
"""Left free on the disk, for results and for everyone else."""

LEFT_AFTER_S = 3600.0
"""Files that no page took go when their session has had no connection for so long, as far as is
known: each upload looks."""

CLOSE = {"Connection": "close"}
"""Header of a refusal: the rest of the body is not read."""

FRAMING_BYTES_MAX = 1 << 20
"""What a body may have beside the file."""


class UploadGoneError(LookupError):
    """The file was not received by this app, was taken already, or was too old to be kept."""


class UploadedFile(Protocol):
    """What st.file_uploader gives."""

    name: str

    def getvalue(self) -> bytes:
        """Its content."""


def take_upload(library: Library, uploaded: UploadedFile) -> Path:
    """Where the content of an uploaded file is; hand it to `Library.add`, which moves it away.

    Raises:
        UploadGoneError: it is not there, or another owner's.
    """
    identifier = _read_token(uploaded)
    path = library.folders.uploads / identifier
    if not identifier.startswith(f"{library.owner.tag}-") or not path.is_file():
        raise UploadGoneError(f"{uploaded.name} is no longer there: upload it again")
    return path


def make_token(identifier: str) -> bytes:
    """What Streamlit gets instead of the content of the received file of this name."""
    return json.dumps({TOKEN_KEY: identifier}).encode()


def _read_token(uploaded: UploadedFile) -> str:
    try:
        identifier = json.loads(uploaded.getvalue())[TOKEN_KEY]
    except (ValueError, TypeError, KeyError):
        identifier = None
    if not isinstance(identifier, str) or not IDENTIFIER.fullmatch(identifier):
        raise UploadGoneError(f"{uploaded.name} was not received by this app: upload it again")
    return identifier


def is_session(session: str) -> bool:
    """Whether a browser has this session of Streamlit open."""
    from streamlit import runtime

    return runtime.exists() and runtime.get_instance().is_active_session(session)


class Turns:
    """So that of one owner only so many files are received at a time."""

    def __init__(self) -> None:
        """None is received yet."""
        self._turns: WeakValueDictionary[str, Semaphore] = WeakValueDictionary()

    def of(self, library: Library) -> AbstractAsyncContextManager[None]:
        """Waits at its beginning while as many of the owner are received as may be."""
        if library.owner.is_everyone:
            return nullcontext()
        turns = self._turns.get(library.owner.key) or Semaphore(library.settings.owner_uploads)
        self._turns[library.owner.key] = turns
        return turns


class UploadsToDisk:
    """ASGI middleware for st.App, see the module."""

    def __init__(
        self,
        app: ASGIApp,
        library_of: LibraryOf,
        is_session: Callable[[str], bool] = is_session,
    ) -> None:
        """Stands before `app`.

        Args:
            library_of: gives the clips of the one who sends the upload.
            is_session: whether uploads of this session are to be received. Others go to `app`,
                which refuses them before it reads them.
        """
        self._app = app
        self._library_of = library_of
        self._turns = Turns()
        self._is_session = is_session
        self._untaken: dict[Path, str] = {}
        """Received file -> the session whose page was given its token."""
        self._lost_s: dict[str, float] = {}
        """Session -> since when it has had no connection (time.monotonic)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receives an upload; anything else goes its way."""
        session = _session_of_upload(scope)
        if session is None or not self._is_session(session):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            library = await run_in_threadpool(self._library_of, request)
            await run_in_threadpool(self._remove_left)
            async with self._turns.of(library):
                upload = Upload(library)
                form = await upload.receive(request)
        except ClientDisconnect:
            return
        except HTTPException as error:
            response = PlainTextResponse(error.detail, error.status_code, error.headers)
            await response(scope, receive, send)
            return
        except OwnerSpaceError as error:
            response = PlainTextResponse(f"This file is not taken: {error}.", 507, CLOSE)
            await response(scope, receive, send)
            return
        if await self._hand_over(scope, receive, send, form.part_headers, upload):
            self._untaken[upload.path] = session

    def _remove_left(self) -> None:
        """Removes files that no page took before its session ended; they count as their owner's."""
        now_s = time.monotonic()
        for path, session in list(self._untaken.items()):
            if self._is_session(session):
                self._lost_s.pop(session, None)
            elif now_s - self._lost_s.setdefault(session, now_s) > LEFT_AFTER_S:
                path.unlink(missing_ok=True)
            if not path.exists():
                self._untaken.pop(path, None)
        left = set(self._untaken.values())
        self._lost_s = {session: s for session, s in self._lost_s.items() if session in left}

    async def _hand_over(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        part_headers: dict[str, str],
        upload: "Upload",
    ) -> bool:
        """Gives Streamlit the token; without its consent, which is returned, no file stays."""
        body, content_type = build_form(part_headers, make_token(upload.identifier))
        headers = MutableHeaders(raw=list(scope["headers"]))
        headers["content-type"] = content_type
        headers["content-length"] = str(len(body))
        del headers["transfer-encoding"]
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        is_taken = False

        async def receive_token() -> Message:
            return messages.pop() if messages else await receive()

        async def note_status(message: Message) -> None:
            nonlocal is_taken
            if message["type"] == "http.response.start":
                is_taken = 200 <= message["status"] < 300
            await send(message)

        try:
            await self._app({**scope, "headers": headers.raw}, receive_token, note_status)
        finally:
            if not is_taken:
                upload.path.unlink(missing_ok=True)
        return is_taken


class Upload:
    """One file on its way to the disk."""

    def __init__(self, library: Library) -> None:
        """Nothing is received yet; the file's name is drawn, never the user's."""
        self.identifier = f"{library.owner.tag}-{secrets.token_hex(16)}"
        self.path = library.folders.uploads / self.identifier
        self._unfinished = self.path.with_suffix(UNFINISHED)
        self._library = library
        self._room_bytes = self._limit_bytes = library.settings.upload_limit_bytes
        self._checked_bytes = 0

    async def receive(self, request: Request) -> ReceivedForm:
        """Reads the request's body and keeps the file in it.

        Raises:
            HTTPException: it is too large, there is no space, or it is not one file.
            OwnerSpaceError: the owner has too much on the disk.
            ClientDisconnect: it did not come to its end. However it fails, no file stays.
        """
        try:
            await run_in_threadpool(self._check_announced, request.headers)
            with self._unfinished.open("xb", buffering=WRITE_BYTES) as file:
                async with aclosing(request.stream()) as body:
                    parser = FileParser(request.headers, body, file, self._check_size)
                    form = await parser.receive()
            # Others of the owner's may have come at the same time.
            await run_in_threadpool(self._library.check_room)
            self._unfinished.rename(self.path)
        except MultiPartException as error:
            raise _refused(400, f"This upload cannot be read. {error.message}") from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_space() from error
            raise
        finally:
            self._unfinished.unlink(missing_ok=True)
        return form

    def _check_size(self, file_bytes: int) -> None:
        if file_bytes > self._limit_bytes:
            raise self._too_large()
        if file_bytes > self._room_bytes:
            self._room_bytes = self._library.check_room(file_bytes)
        if file_bytes >= self._checked_bytes + WRITE_BYTES:
            self._checked_bytes = file_bytes
            self._check_space(WRITE_BYTES)

    def _check_announced(self, headers: Headers) -> None:
        announced = headers.get("content-length", "0")
        size = int(announced) if announced.isascii() and announced.isdigit() else 0
        if size > self._limit_bytes + FRAMING_BYTES_MAX:
            raise self._too_large()
        self._room_bytes = self._library.check_room(min(size, self._limit_bytes))
        self._check_space(size)

    def _check_space(self, needed_bytes: int) -> None:
        if shutil.disk_usage(self.path.parent).free < needed_bytes + FREE_BYTES_MIN:
            raise _no_space()

    def _too_large(self) -> HTTPException:
        limit_mb = self._limit_bytes / BYTES_PER_MB
        return _refused(413, f"This file is larger than {limit_mb:,.0f} MB.")


def _refused(status: int, reason: str) -> HTTPException:
    return HTTPException(status, reason, CLOSE)


def _no_space() -> HTTPException:
    return _refused(507, "There is no space left for this file on the app's machine.")


def _session_of_upload(scope: Scope) -> str | None:
    if scope["type"] != "http" or scope["method"] != "PUT":
        return None
    match = UPLOAD_ROUTE.fullmatch(scope["path"])
    return match["session"] if match else None
