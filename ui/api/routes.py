"""The operations of the HTTP API."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

import anyio
import msgspec
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from ui.api.access import check_access
from ui.api.documents import ClipPage, NewLink, to_clip, to_json_ready, to_listed
from ui.api.events import Cursor, follow
from ui.api.openapi import API, CLIP, CLIPS, EVENTS, OPENAPI, PAGE_CLIPS, PAGE_CLIPS_MAX, document
from ui.api.problems import HANDLERS, HEADERS
from ui.api.webhooks import check_webhook
from ui.application import Application
from ui.jobs.job import Job, Source, SourceKind
from ui.jobs.library import Library
from ui.jobs.table import page_position
from ui.jobs.webhooks import WebhookStore
from ui.settings import Settings
from ui.uploads.reception import Turns, Upload
from vemoclap_client import EmotionClient
from vemoclap_client.errors import BadLinkError
from vemoclap_client.fetch import check_link

CHECK_TIMEOUT_S = 2.0
BODY_BYTES_MAX = 1 << 16
"""Of a request's JSON."""

STREAMS_MAX = 200
"""So many clips are followed at a time: four looks a second at each cost 0.7 ms of a processor."""

STOP_S = 2.0
"""So long the streams may take to end when the app does."""

SEND_TIMEOUT_S = 60.0
"""A client that takes no events for so long is left."""


def check_server(settings: Settings) -> None:
    """Returns if the server can classify now.

    Raises:
        ServerError: it cannot.
    """
    with EmotionClient(settings.server_url, timeout_s=CHECK_TIMEOUT_S) as client:
        client.check_ready()


class ClipsApi:
    """Adds, gives, follows and removes clips."""

    def __init__(
        self,
        find: Callable[[], Application],
        library_of: Callable[[Request], Library],
        check: Callable[[Settings], None] = check_server,
    ) -> None:
        """Of one app.

        Args:
            find: gives the app; it is called for each request.
            library_of: gives the clips that a request may see.
            check: returns if the server can classify.
        """
        self._find = find
        self._library_of = library_of
        self._check = check
        self._streams = 0
        self._turns = Turns()

    def routes(self) -> list[Route]:
        """Below API."""
        return [
            Route(CLIPS, self.add, methods=["POST"]),
            Route(CLIPS, self.list),
            Route(CLIP, self.get),
            Route(CLIP, self.delete, methods=["DELETE"]),
            Route(EVENTS, self.events),
            Route(OPENAPI, self.openapi),
        ]

    async def add(self, request: Request) -> Response:
        """Adds a clip from a form with a file, or from JSON with a link."""
        library = await run_in_threadpool(self._library, request)
        # Before the body is read: it may be long.
        await run_in_threadpool(self._check_ready, library)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            job = await self._add_file(library, request)
        elif kind == "application/json":
            job = await self._add_link(library, request)
        else:
            raise HTTPException(
                415, "send a form with a file (multipart/form-data), or application/json with a url"
            )
        clip = await run_in_threadpool(self._document, job)
        return _json(clip, 202, {"Location": f"{API}{CLIPS}/{job.id}"})

    def list(self, request: Request) -> Response:
        """A page of clips, the latest first."""
        library = self._library(request)
        limit = _limit(request.query_params.get("limit"))
        # One more than is asked for tells whether there is a next page.
        jobs = library.page(limit + 1, request.query_params.get("after", ""))
        following = None
        if jobs[limit:]:
            query = urlencode({"limit": limit, "after": page_position(jobs[limit - 1])})
            following = f"{API}{CLIPS}?{query}"
        return _json(to_json_ready(ClipPage(tuple(map(to_listed, jobs[:limit])), following)))

    def get(self, request: Request) -> Response:
        """A clip with all that is known of it."""
        return _json(self._document(self._library(request).get(request.path_params["id"])))

    def delete(self, request: Request) -> Response:
        """Ends the work on a clip and removes it."""
        self._library(request).delete(request.path_params["id"])
        return Response(status_code=204, headers=HEADERS)

    async def events(self, request: Request) -> Response:
        """What becomes known of a clip, as it does."""
        library = await run_in_threadpool(self._library, request)
        read = partial(library.get, request.path_params["id"])
        await run_in_threadpool(read)
        if self._streams >= STREAMS_MAX:
            raise HTTPException(429, f"{STREAMS_MAX} clips are followed already: try again later")
        cursor = Cursor(request.headers.get("last-event-id", ""))
        if cursor.has_ended:
            # So a browser's EventSource does not come back again.
            return Response(status_code=204, headers=HEADERS)
        stopping = anyio.Event()
        # It sends comments while there are no events, and sets `stopping` when the app stops.
        return EventSourceResponse(
            self._counted(follow(read, cursor, stopping)),
            headers=HEADERS,
            send_timeout=SEND_TIMEOUT_S,
            sep="\n",
            shutdown_event=stopping,
            shutdown_grace_period=STOP_S,
        )

    async def _counted(
        self, events: AsyncIterator[ServerSentEvent]
    ) -> AsyncIterator[ServerSentEvent]:
        self._streams += 1
        try:
            async for event in events:
                yield event
        finally:
            self._streams -= 1

    def openapi(self, _: Request) -> Response:
        """The description of the API."""
        return _json(document())

    def _library(self, request: Request) -> Library:
        check_access(request.method, request.headers, self._find().settings)
        return self._library_of(request)

    def _check_ready(self, library: Library) -> None:
        library.check_may_add()
        self._check(library.settings)

    async def _add_file(self, library: Library, request: Request) -> Job:
        upload = Upload(library)
        try:
            async with self._turns.of(library):
                form = await upload.receive(request)
            source = Source(SourceKind.UPLOAD, str(upload.path))
            webhook = form.fields.get("webhook") or None
            return await run_in_threadpool(self._add, library, form.file_name, source, webhook)
        finally:
            upload.path.unlink(missing_ok=True)

    async def _add_link(self, library: Library, request: Request) -> Job:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_BYTES_MAX:
                raise HTTPException(413, f"the JSON has more than {BODY_BYTES_MAX} bytes")
        try:
            new = msgspec.json.decode(body, type=NewLink)
        except msgspec.ValidationError as error:
            raise HTTPException(422, str(error)) from error
        except msgspec.DecodeError as error:
            raise HTTPException(400, f"the body is no JSON: {error}") from error
        check_link(new.url)
        if "@" in urlsplit(new.url).netloc:
            raise BadLinkError("the link holds a name or a password, which would be stored with it")
        source = Source(SourceKind.LINK, new.url)
        return await run_in_threadpool(self._add, library, new.url, source, new.webhook)

    def _add(self, library: Library, name: str, source: Source, webhook: str | None) -> Job:
        if webhook:
            check_webhook(webhook, library.settings)
        job = library.add(name, source)
        if webhook:
            self._webhooks().add(job.id, webhook)
        return job

    def _document(self, job: Job) -> Any:
        return to_json_ready(to_clip(job, self._webhooks().get(job.id)))

    def _webhooks(self) -> WebhookStore:
        return WebhookStore(self._find().store)


def api_route(api: ClipsApi) -> Mount:
    """The route to hand to Streamlit's App."""
    return Mount(API, Starlette(routes=api.routes(), exception_handlers=HANDLERS))


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE_CLIPS
    # Python converts no text of thousands of digits.
    is_short = len(text) <= len(str(PAGE_CLIPS_MAX))
    if not (is_short and text.isdecimal() and 1 <= int(text) <= PAGE_CLIPS_MAX):
        raise HTTPException(400, f"limit is a whole number from 1 to {PAGE_CLIPS_MAX}")
    return int(text)


def _json(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(document), status, {**HEADERS, **(headers or {})}, "application/json"
    )
