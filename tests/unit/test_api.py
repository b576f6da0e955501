"""The HTTP API: clips in, documents out, errors as problems, nothing for pages of other sites."""

import dataclasses
import json
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace
from openapi_spec_validator import validate
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from tests.unit.api_client import ApiClient
from tests.unit.app_client import make_answer
from tests.unit.app_fixture import done_job, failed_job, waiting_job, working_job
from ui.api import routes
from ui.api.access import owner_of
from ui.api.openapi import API, document
from ui.application import Application
from ui.jobs import media
from ui.jobs.job import SourceKind
from ui.owners import Owner
from vemoclap_client.errors import ServerUnavailableError
from vemoclap_client.formats.document import format_json

VIDEO = bytes(range(256)) * 40


@pytest.fixture
def web(app: Application) -> ApiClient:
    return ApiClient(app)


def post(web: ApiClient, **options: Any) -> Any:
    return web.post("/clips", **options)


def test_the_description_is_openapi_and_its_schemas_are_schemas(web: ApiClient) -> None:
    described = web.get("/openapi.json").json()
    assert described == json.loads(json.dumps(document()))
    validate(described)
    for schema in described["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_a_file_becomes_a_job(app: Application, web: ApiClient) -> None:
    answer = post(web, files={"file": ("my clip.mp4", VIDEO)})
    assert answer.status_code == 202
    clip = answer.json()
    assert answer.headers["location"] == f"{API}/clips/{clip['id']}"
    assert (clip["name"], clip["state"], clip["source"]) == ("my clip.mp4", "waiting", "upload")
    job = app.store.get(clip["id"])
    path = media.clip_path(app.store, job)
    assert path is not None and path.read_bytes() == VIDEO
    assert list(app.store.uploads.iterdir()) == []
    assert app.runner.wakes == 1  # type: ignore[attr-defined]
    assert web.get(f"/clips/{clip['id']}").json() == clip


def test_a_link_becomes_a_job(app: Application, web: ApiClient) -> None:
    answer = post(web, json={"url": "https://example.org/a.mp4"})
    assert answer.status_code == 202
    job = app.store.get(answer.json()["id"])
    assert (job.source.kind, job.source.location) == (SourceKind.LINK, "https://example.org/a.mp4")


def test_what_is_known_is_given(app: Application, web: ApiClient) -> None:
    result = make_answer("done.mp4")
    done = app.store.change(done_job(app.store).id, lambda job: replace(job, result=result))
    failed = failed_job(app.store)
    working, waiting = working_job(app.store), waiting_job(app.store)
    clip = web.get(f"/clips/{done.id}").json()
    assert clip["state"] == "done"
    assert clip["result"] == json.loads(format_json(result))
    assert done.timeline is not None
    assert clip["timeline"] == json.loads(format_json(done.timeline))
    clip = web.get(f"/clips/{failed.id}").json()
    assert clip["failure"]["error"] == "NotAVideoError"
    assert clip["failure"]["exit_code"] == 13
    for job in (working, waiting):
        clip = web.get(f"/clips/{job.id}").json()
        assert (clip["state"], clip["result"], clip["failure"]) == (job.state, None, None)


def test_the_list_has_pages(app: Application, web: ApiClient) -> None:
    jobs = [done_job(app.store, f"{i}.mp4") for i in range(5)]
    seen, path = [], f"{API}/clips?limit=2"
    while path:
        page = web.get(path.removeprefix(API)).json()
        assert len(page["clips"]) <= 2
        seen += [clip["id"] for clip in page["clips"]]
        path = page["next"]
    assert seen == [job.id for job in reversed(jobs)]
    assert web.get("/clips").json()["next"] is None
    assert len(web.get("/clips").json()["clips"]) == 5
    following = web.get("/clips?limit=2").json()["next"]
    app.store.delete(jobs[3].id)
    page = web.get(following.removeprefix(API)).json()
    assert [clip["id"] for clip in page["clips"]] == [jobs[2].id, jobs[1].id]
    for limit in ("0", "501", "x", "-1", "1.5", "1" * 5000):
        assert web.get(f"/clips?limit={limit}").status_code == 400


def test_a_clip_is_removed_with_its_files(app: Application, web: ApiClient) -> None:
    identifier = post(web, files={"file": ("a.mp4", VIDEO)}).json()["id"]
    folder = app.store.folder(identifier)
    assert folder.is_dir()
    assert web.delete(f"/clips/{identifier}").status_code == 204
    assert not folder.exists()
    assert web.get(f"/clips/{identifier}").status_code == 404
    assert web.delete(f"/clips/{identifier}").status_code == 404


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"content": b"x"}, 415, "multipart/form-data"),
        ({"content": b"url=x", "headers": {"Content-Type": "text/plain"}}, 415, "application/json"),
        ({"json": {"url": "file:///etc/passwd"}}, 422, "http or https"),
        ({"json": {"url": "no link"}}, 422, "http or https"),
        ({"json": {"url": "https://me:secret@a.org/b"}}, 422, "password"),
        ({"json": {}}, 422, "url"),
        ({"json": {"url": 3}}, 422, "url"),
        ({"json": {"url": "https://a.org", "webhok": "x"}}, 422, "webhok"),
        ({"json": ["https://a.org"]}, 422, "array"),
        ({"json": {"url": "https://a.org", "webhook": "https://a.org"}}, 422, "SECRET"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "JSON"),
        ({"json": {"url": "https://a.org/" + "a" * (1 << 17)}}, 413, "bytes"),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=a"}},
            400,
            "cannot be read",
        ),
        ({"files": {"a": ("a.mp4", b""), "b": ("b.mp4", b"")}}, 400, "Too many files"),
        ({"data": {"a": "b"}, "files": {"a": (None, "b")}}, 400, "no file"),
    ],
)
def test_what_cannot_be_used_is_a_problem(
    app: Application, web: ApiClient, options: dict[str, Any], status: int, words: str
) -> None:
    answer = post(web, **options)
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert words in problem["detail"]
    assert app.store.list_jobs() == []
    assert list(app.store.uploads.iterdir()) == []


def test_problems_name_our_errors(app: Application, web: ApiClient) -> None:
    problem = post(web, json={"url": "no link"}).json()
    assert problem["type"] == "urn:vemoclap:error:BadLinkError"
    assert (problem["title"], problem["exit_code"]) == ("Unprocessable Entity", 32)
    problem = web.get("/clips/nobody").json()
    assert problem["type"] == "urn:vemoclap:error:JobNotFoundError"
    assert problem["exit_code"] is None
    assert web.get("/nothing").json()["type"] == "about:blank"
    answer = web.put("/clips")
    assert (answer.status_code, answer.json()["title"]) == (405, "Method Not Allowed")
    assert set(answer.headers["allow"].split(", ")) & {"GET", "POST"}


def test_a_file_over_the_limit_is_refused(app: Application, web: ApiClient) -> None:
    small = with_settings(app, upload_limit_mb=1)
    answer = post(ApiClient(small), files={"file": ("a.mp4", bytes(2_500_000))})
    assert answer.status_code == 413
    assert "larger than 1 MB" in answer.json()["detail"]
    assert list(app.store.uploads.iterdir()) == []


def test_a_full_queue_is_told_before_the_file_is_read(app: Application) -> None:
    web = ApiClient(with_settings(app, queue_limit=2))
    for _ in range(2):
        assert post(web, files={"file": ("a.mp4", VIDEO)}).status_code == 202
    for options in ({"files": {"file": ("a.mp4", VIDEO)}}, {"json": {"url": "https://a.org"}}):
        answer = post(web, **options)
        assert answer.status_code == 429
        assert answer.json()["type"] == "urn:vemoclap:error:QueueFullError"
        assert answer.json()["exit_code"] == 24
        assert int(answer.headers["retry-after"]) > 0
    assert len(app.store.list_jobs()) == 2


@pytest.mark.parametrize(
    ("limits", "status", "kind"),
    [
        ({"owner_jobs": 1}, 429, "OwnerLimitError"),
        ({"owner_mb": 1}, 507, "OwnerSpaceError"),
    ],
)
@pytest.mark.parametrize("is_link", [True, False])
def test_one_owner_s_limit_is_one_answer_before_the_body_is_read(
    app: Application, limits: dict[str, int], status: int, kind: str, is_link: bool
) -> None:
    web = ApiClient(with_settings(app, is_behind_gateway=True, **limits))
    headers = {"X-Vemoclap-Client": "a"}
    job = post(web, files={"file": ("a.mp4", VIDEO)}, headers=headers).json()
    (app.store.folder(job["id"]) / "frames").write_bytes(bytes(1_000_000))
    # Whoever read this body would answer that it cannot be read.
    headers["Content-Type"] = "application/json" if is_link else "multipart/form-data; boundary=a"
    answer = post(web, content=b"{", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:vemoclap:error:{kind}")
    assert ("retry-after" in answer.headers) == (status == 429)
    assert (answer.headers.get("connection") == "close") == (status == 507)


def test_a_file_over_an_owner_s_space_has_the_same_answer(app: Application) -> None:
    web = ApiClient(with_settings(app, is_behind_gateway=True, owner_mb=1))
    headers = {"X-Vemoclap-Client": "a"}
    answer = post(web, files={"file": ("a.mp4", bytes(1_500_000))}, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (
        507,
        "urn:vemoclap:error:OwnerSpaceError",
    )
    assert list(app.store.uploads.iterdir()) == []


def test_without_a_server_nothing_is_taken(app: Application, web: ApiClient) -> None:
    web.server_error = ServerUnavailableError("nothing answers")
    answer = post(web, files={"file": ("a.mp4", VIDEO)})
    assert (answer.status_code, answer.json()["exit_code"]) == (503, 21)
    assert int(answer.headers["retry-after"]) > 0
    assert app.store.list_jobs() == []
    assert web.get("/clips").status_code == 200


def test_a_fault_is_not_explained(
    app: Application, web: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(type(app.store), "page", fail)
    answer = super(ApiClient, web).request("GET", "/clips")
    assert answer.status_code == 500
    assert "secret" not in answer.text


PAGES = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost"},
    {"Sec-Fetch-Site": "cross-site"},
)


@pytest.mark.parametrize("headers", PAGES)
def test_pages_in_a_browser_change_nothing(
    app: Application, web: ApiClient, headers: dict[str, str]
) -> None:
    job = waiting_job(app.store)
    form = {"file": ("a.mp4", VIDEO)}
    assert post(web, files=form, headers=headers).status_code == 403
    assert web.delete(f"/clips/{job.id}", headers=headers).status_code == 403
    assert [found.id for found in app.store.list_jobs()] == [job.id]
    answer = web.get("/clips", headers=headers)
    assert "access-control-allow-origin" not in answer.headers


def test_names_that_are_not_the_app_s_get_nothing(app: Application, web: ApiClient) -> None:
    job = waiting_job(app.store)
    for host in ("evil.example", "evil.example:8501", "localhost.evil.example", "", "127.0.0.1.a"):
        for path in ("/clips", f"/clips/{job.id}", f"/clips/{job.id}/events"):
            assert web.get(path, headers={"Host": host}).status_code == 403
    known = ApiClient(with_settings(app, hosts=frozenset({"clips.example"})))
    for host in ("localhost:8501", "127.0.0.1:8501", "[::1]:8501", "Clips.Example:443"):
        assert known.get("/clips", headers={"Host": host}).status_code == 200


def test_behind_the_gateway_each_token_has_clips_of_its_own(app: Application) -> None:
    web = ApiClient(with_settings(app, is_behind_gateway=True))
    ours, theirs = ({"X-Vemoclap-Client": name, "Host": "gate.example"} for name in ("a", "b"))
    identifier = post(web, files={"file": ("a.mp4", VIDEO)}, headers=ours).json()["id"]
    shared = waiting_job(app.store)
    assert [clip["id"] for clip in web.get("/clips", headers=ours).json()["clips"]] == [identifier]
    assert web.get("/clips", headers=theirs).json()["clips"] == []
    for other in (identifier, shared.id):
        for path in (f"/clips/{other}", f"/clips/{other}/events"):
            assert web.get(path, headers=theirs).status_code == 404
        assert web.delete(f"/clips/{other}", headers=theirs).status_code == 404
    for headers in ({}, {"X-Vemoclap-Client": ""}):
        assert web.get("/clips", headers=headers).status_code == 401
        assert post(web, json={"url": "https://a.org"}, headers=headers).status_code == 401
    assert web.get(f"/clips/{identifier}", headers=ours).status_code == 200
    assert len(app.store.list_jobs()) == 2


def test_without_a_gateway_its_header_says_nothing(app: Application, web: ApiClient) -> None:
    job = waiting_job(app.store)
    answer = web.get("/clips", headers={"X-Vemoclap-Client": "a"})
    assert [clip["id"] for clip in answer.json()["clips"]] == [job.id]


def test_where_people_sign_in_programs_need_the_gateway(app: Application) -> None:
    with pytest.raises(HTTPException, match="401"):
        owner_of(Headers({"X-Vemoclap-Client": "a"}), app.settings, is_sign_in_required=True)
    behind = with_settings(app, is_behind_gateway=True).settings
    owner = owner_of(Headers({"X-Vemoclap-Client": "a"}), behind, is_sign_in_required=True)
    assert owner == Owner.from_token("a")


def test_only_so_many_are_followed_at_a_time(
    app: Application, web: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = done_job(app.store)
    for _ in range(2):
        monkeypatch.setattr(routes, "STREAMS_MAX", 1)
        assert web.get(f"/clips/{job.id}/events").status_code == 200
    monkeypatch.setattr(routes, "STREAMS_MAX", 0)
    answer = web.get(f"/clips/{job.id}/events")
    assert (answer.status_code, answer.json()["type"]) == (429, "about:blank")


def with_settings(app: Application, **changes: Any) -> Application:
    return dataclasses.replace(app, settings=dataclasses.replace(app.settings, **changes))
