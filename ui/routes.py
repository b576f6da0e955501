"""What the app serves beside its pages: clips, frames and thumbnails.

Streamlit keeps /media/ to itself, so they are below /clips/. Their addresses hold a job's id, which
cannot be guessed; where people sign in or show the gateway a token, only the clip's owner gets its
files.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from ui.api.openapi import API
from ui.application import LibraryOf
from ui.jobs import media
from ui.jobs.job import Job
from ui.jobs.library import Library
from ui.jobs.store import JobNotFoundError
from vemoclap_client.contract import FRAME_COUNT

STREAMLIT_MEDIA = "/media/"
HEADERS = {
    # A clip is a stranger's file: it must never be taken for a page or a script.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}


def clip_route(job_id: str) -> str:
    """The path below which a job's video is served, with ranges."""
    return f"/clips/{quote(job_id)}/clip"


def frame_route(job_id: str, index: int) -> str:
    """The path of one of a job's 16 frames, a JPEG; `index` counts from 0."""
    return f"/clips/{quote(job_id)}/frames/{index}"


def thumbnail_route(job_id: str) -> str:
    """The path of a small JPEG of a job's middle frame; there is none before it is decoded."""
    return f"/clips/{quote(job_id)}/thumbnail"


def media_url(path: str) -> str:
    """The absolute URL of one of these paths, as the browser that shows the page knows the app.

    Outside of a page that a browser shows, as in tests, it is the path itself.
    """
    shown = urlsplit(st.context.url or "")
    return f"{shown.scheme}://{shown.netloc}{path}" if shown.netloc else path


def media_routes(library_of: LibraryOf) -> list[Route]:
    """The routes to hand to Streamlit's App."""

    def clip(request: Request) -> FileResponse:
        library = library_of(request)
        job = _job(library, request)
        path = media.clip_path(library.folders, job)
        if path is None or not media.is_allowed(library.settings, job.source, path):
            raise _not_found("this clip is not here, or not yet")
        return _file(path, media.content_type(path))

    def frame(request: Request) -> FileResponse:
        library = library_of(request)
        job = _job(library, request)
        index = request.path_params["index"]
        if index >= FRAME_COUNT:
            raise _not_found(f"frames are numbered from 0 to {FRAME_COUNT - 1}")
        return _file(media.frame_path(library.folders, job.id, index), "image/jpeg")

    def thumbnail(request: Request) -> FileResponse:
        library = library_of(request)
        path = media.job_thumbnail(library.folders, _job(library, request).id)
        if path is None:
            raise _not_found("this clip is not decoded yet")
        return _file(path, "image/jpeg")

    return [
        Route("/clips/{job_id}/clip", clip),
        Route("/clips/{job_id}/frames/{index:int}", frame),
        Route("/clips/{job_id}/thumbnail", thumbnail),
    ]


class KnownHosts:
    """ASGI middleware for st.App: all but the API, which does so itself, has the host checked.

    Streamlit compares a page's origin with the host that its browser sends: a page of any site
    passes if it makes its own name resolve to this machine. Its setting server.allowedHosts is for
    WebSockets alone, and has no word for "any IP address".
    """

    def __init__(self, app: ASGIApp, check: Callable[[Headers], None]) -> None:
        """Stands before `app`.

        Args:
            check: raises an HTTPException for a request that is not to be answered.
        """
        self._app = app
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses what does not pass; anything else goes its way."""
        is_socket = scope["type"] == "websocket"
        if (is_socket or scope["type"] == "http") and not scope["path"].startswith(f"{API}/"):
            try:
                self._check(Headers(scope=scope))
            except HTTPException as error:
                # Answered with 403; with a text uvicorn would log an error of the app.
                refusal = WebSocketClose() if is_socket else _refusal(error)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


class MediaOfPages:
    """ASGI middleware for st.App: what Streamlit serves of its pages is for those who signed in.

    These are pictures and downloads, below addresses that follow from their content.
    """

    def __init__(self, app: ASGIApp, library_of: LibraryOf) -> None:
        """Stands before `app`."""
        self._app = app
        self._library_of = library_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 401 where nobody is signed in; anything else goes its way."""
        if scope["type"] == "http" and scope["path"].startswith(STREAMLIT_MEDIA):
            try:
                await run_in_threadpool(self._library_of, Request(scope))
            except HTTPException as error:
                await _refusal(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _refusal(error: HTTPException) -> PlainTextResponse:
    return PlainTextResponse(error.detail, error.status_code)


def _job(library: Library, request: Request) -> Job:
    try:
        return library.get(request.path_params["job_id"])
    except JobNotFoundError as error:
        raise _not_found(str(error)) from error


def _file(path: Path, content_type: str) -> FileResponse:
    if not path.is_file():
        raise _not_found("this file is not here, or not yet")
    return FileResponse(path, media_type=content_type, headers=HEADERS)


def _not_found(reason: str) -> HTTPException:
    return HTTPException(404, reason)
