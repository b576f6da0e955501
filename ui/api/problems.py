"""Errors as answers: problem documents after RFC 9457, with the right status."""

import errno
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ui.api.documents import Problem
from ui.jobs.job import OwnerLimitError, OwnerSpaceError
from ui.jobs.store import JobNotFoundError
from ui.uploads.reception import CLOSE
from vemoclap_client.errors import (
    FetchError,
    ServerError,
    ServerOverloadedError,
    VemoclapError,
)

CONTENT_TYPE = "application/problem+json"
URN = "urn:vemoclap:error:"
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

STATUSES: dict[type[Exception], int] = {
    JobNotFoundError: 404,
    FetchError: 422,
    OwnerLimitError: 429,
    OwnerSpaceError: 507,
    ServerOverloadedError: 429,
    ServerError: 503,
}
"""Type of an error -> status. A type that is not here has that of its nearest base."""

RETRY_AFTER_S = {429: 30, 503: 10}


def answer_http(_: Request, error: Exception) -> Response:
    """What Starlette and the API's own code refuse by a status."""
    assert isinstance(error, HTTPException)
    return _answer(error.status_code, error.detail, headers=error.headers)


def answer_error(_: Request, error: Exception) -> Response:
    """An error of ours."""
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    # What is left of a file is not read.
    headers = CLOSE if isinstance(error, OwnerSpaceError) else None
    return _answer(status, str(error), error, headers)


def answer_disk(_: Request, error: Exception) -> Response:
    """An error of the file system: a full disk, or a fault."""
    assert isinstance(error, OSError)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _answer(507, "there is no space left on the app's machine")
    raise error


def answer_fault(_: Request, __: Exception) -> Response:
    """A fault of the app, which is in its log."""
    return _answer(500, "something went wrong inside the app; its log says what")


def answer_nobody(_: Request, __: Exception) -> Response:
    """The client has gone while it sent: nobody reads the answer."""
    return Response(status_code=400)


HANDLERS = {
    ClientDisconnect: answer_nobody,
    HTTPException: answer_http,
    OSError: answer_disk,
    Exception: answer_fault,
    **dict.fromkeys(STATUSES, answer_error),
}


def _answer(
    status: int,
    detail: str,
    error: Exception | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    problem = Problem(
        type=f"{URN}{type(error).__name__}" if error else "about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        exit_code=error.exit_code if isinstance(error, VemoclapError) else None,
    )
    retry = {"Retry-After": str(RETRY_AFTER_S[status])} if status in RETRY_AFTER_S else {}
    return Response(
        msgspec.json.encode(problem),
        status,
        {**HEADERS, **retry, **(headers or {})},
        CONTENT_TYPE,
    )
