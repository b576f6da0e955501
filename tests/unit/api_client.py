"""A client of the HTTP API that checks each answer against the published OpenAPI document."""

import json
import re
from typing import Any

import jsonschema
from httpx2 import Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient

from ui.api.access import owner_of
from ui.api.openapi import API, document
from ui.api.routes import ClipsApi, api_route
from ui.application import Application
from ui.jobs.library import Library
from ui.settings import Settings


class ApiClient(TestClient):
    """Asks the API of an app, for which the server is there unless `server_error` is set."""

    def __init__(self, app: Application) -> None:
        self.server_error: Exception | None = None

        def library_of(request: Request) -> Library:
            return app.library(owner_of(request.headers, app.settings))

        api = ClipsApi(lambda: app, library_of, self._check)
        super().__init__(
            Starlette(routes=[api_route(api)]),
            base_url=f"http://localhost{API}",
            raise_server_exceptions=False,
        )

    def _check(self, _: Settings) -> None:
        if self.server_error is not None:
            raise self.server_error

    def request(self, method: str, url: Any, **options: Any) -> Response:  # type: ignore[override]
        answer = super().request(method, url, **options)
        check(method, str(url), answer)
        return answer


def check(method: str, path: str, answer: Response) -> None:
    """Fails if the OpenAPI document does not describe this answer."""
    described = document()
    templates = {re.sub(r"\{\w+\}", "[^/]+", template): template for template in described["paths"]}
    path = path.partition("?")[0].removeprefix(API)
    template = next((t for pattern, t in templates.items() if re.fullmatch(pattern, path)), None)
    operation = described["paths"].get(template, {}).get(method.lower())
    if operation is None:
        assert answer.status_code in (404, 405)
        schema: Any = {"$ref": "#/components/schemas/Problem"}
    else:
        expected = operation["responses"][str(answer.status_code)]
        assert set(expected.get("headers", {})) <= {name.title() for name in answer.headers}
        if "content" not in expected:
            assert answer.content == b""
            return
        [(content_type, content)] = expected["content"].items()
        assert answer.headers["content-type"].partition(";")[0] == content_type
        schema = content["schema"]
    assert answer.headers["cache-control"] == "no-store"
    if answer.headers["content-type"].startswith("text/event-stream"):
        return
    rooted = {**schema, "components": described["components"]}
    jsonschema.validate(json.loads(answer.content), rooted, jsonschema.Draft202012Validator)
