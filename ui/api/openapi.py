"""The OpenAPI document: the operations are listed here, the documents come from their types."""

from functools import cache
from typing import Any

from msgspec.json import schema_components

from ui.api.documents import (
    Clip,
    ClipPage,
    DecodedEvent,
    Delivery,
    EvidenceEvent,
    NewLink,
    Problem,
    StateEvent,
)
from ui.api.problems import CONTENT_TYPE, RETRY_AFTER_S
from vemoclap_client.schemas import definitions

API = "/api/v1"
CLIPS, CLIP, EVENTS, OPENAPI = "/clips", "/clips/{id}", "/clips/{id}/events", "/openapi.json"
"""The paths below API."""

PAGE_CLIPS, PAGE_CLIPS_MAX = 50, 500
VERSION = "1.0.0"
REFERENCE = "#/components/schemas/{name}"
DOCUMENTS = (Clip, ClipPage, StateEvent, DecodedEvent, EvidenceEvent, Delivery, Problem)

REASONS = {
    400: "The request cannot be read.",
    401: "It is not known who asks.",
    403: "The request comes from a page in a browser, or to a name that is not this app's.",
    404: "There is no such clip.",
    413: "The file is too large.",
    415: "The body is neither a form nor JSON.",
    422: "The link or the webhook cannot be used, or a field is wrong.",
    429: "Too many clips wait, of all or of this owner, or are followed. Come back after "
    "Retry-After seconds.",
    503: "The server cannot classify now. Come back after Retry-After seconds.",
    507: "The owner's clips take as much space as they may, or the disk of the app's machine is "
    "full. Delete clips.",
}
"""Status -> why an operation answers with it."""

EVENTS_TEXT = """The events, each with JSON as its data:

- `state`, now and at each change: a StateEvent
- `decoded`: a DecodedEvent
- `evidence`, once per modality: an EvidenceEvent
- `result`: the EmotionResult
- `window`, for each of the timeline: a Window
- `end`, last: a StateEvent
- `deleted`, last: {}

The id of an event stands for all that was sent before: with it as Last-Event-ID the stream goes on
there."""


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    _, requests = schema_components([NewLink], ref_template=REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "VEMOCLAP on Triton",
            "version": VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Which emotion a video conveys, and why.",
        },
        "servers": [{"url": API}],
        "paths": _paths(),
        "webhooks": {"finished": {"post": _delivery()}},
        "components": {
            "schemas": {**definitions(DOCUMENTS, REFERENCE), **requests},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # Only a gateway in front of the app asks for it.
        "security": [{}, {"token": []}],
    }


def _paths() -> dict[str, Any]:
    name = {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}}
    return {
        CLIPS: {"post": _post(), "get": _list()},
        CLIP: {
            "parameters": [name],
            "get": _operation("getClip", "A clip with all that is known", _clip(200), 404),
            "delete": _operation(
                "deleteClip", "End the work on a clip and remove it", _empty(), 404
            ),
        },
        EVENTS: {"parameters": [name], "get": _events()},
        OPENAPI: {
            "get": _operation(
                "getOpenApi", "This document", _json(200, "OpenAPI 3.1.", {"type": "object"})
            )
        },
    }


def _post() -> dict[str, Any]:
    link = schema_components([NewLink], ref_template=REFERENCE)[0][0]
    webhook = schema_components([NewLink])[1]["NewLink"]["properties"]["webhook"]
    form = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}, "webhook": webhook},
    }
    answer = _clip(202, "It is added, and waits for its turn.")
    answer["202"]["headers"] = {
        "Location": {"description": "The clip's path.", "schema": {"type": "string"}}
    }
    return {
        **_operation("addClip", "Add a file or a link", answer, 400, 413, 415, 422, 429, 503, 507),
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                "application/json": {"schema": link},
            },
        },
    }


def _list() -> dict[str, Any]:
    limit = {"type": "integer", "minimum": 1, "maximum": PAGE_CLIPS_MAX, "default": PAGE_CLIPS}
    page = _json(200, "Follow `next` to the page after it.", _reference(ClipPage))
    return {
        **_operation("listClips", "The clips, the latest first", page, 400),
        "parameters": [
            {"in": "query", "name": "limit", "schema": limit},
            {"in": "query", "name": "after", "schema": {"type": "string"}},
        ],
    }


def _events() -> dict[str, Any]:
    stream = {"text/event-stream": {"schema": {"type": "string"}}}
    answers = {
        "200": {"description": EVENTS_TEXT, "content": stream},
        "204": {"description": "Nothing comes after the last event."},
    }
    last = {"in": "header", "name": "Last-Event-ID", "schema": {"type": "string"}}
    operation = _operation(
        "followClip", "What becomes known of a clip, as it does", answers, 404, 429
    )
    return {**operation, "parameters": [last]}


def _delivery() -> dict[str, Any]:
    content = {"application/json": {"schema": _reference(Delivery)}}
    return {
        "operationId": "deliverClip",
        "summary": "A finished clip, signed as standardwebhooks.com describes",
        "requestBody": {"required": True, "content": content},
        "responses": {"2XX": {"description": "It is not sent again."}},
    }


def _operation(name: str, summary: str, answers: dict[str, Any], *statuses: int) -> dict[str, Any]:
    """An operation with its answers, and with the errors of these statuses."""
    problems = {str(status): _problem(status) for status in (*statuses, 401, 403)}
    return {"operationId": name, "summary": summary, "responses": {**answers, **problems}}


def _problem(status: int) -> dict[str, Any]:
    retry = {"description": "In seconds.", "schema": {"type": "integer"}}
    return {
        "description": REASONS[status],
        "content": {CONTENT_TYPE: {"schema": _reference(Problem)}},
        **({"headers": {"Retry-After": retry}} if status in RETRY_AFTER_S else {}),
    }


def _clip(status: int, description: str = "It is there.") -> dict[str, Any]:
    return _json(status, description, _reference(Clip))


def _json(status: int, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {str(status): {"description": description, "content": content}}


def _empty() -> dict[str, Any]:
    return {"204": {"description": "It is removed."}}


def _reference(kind: type[Any]) -> dict[str, Any]:
    return {"$ref": REFERENCE.format(name=kind.__name__)}
