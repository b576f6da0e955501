"""Where people sign in: whose a page and a request are."""

import dataclasses
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from itsdangerous import URLSafeTimedSerializer
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from tests.unit.app_fixture import ADDRESS, UPLOAD, fake_sign_in, make_result, open_page, press
from ui.application import Application, library_of
from ui.jobs import media
from ui.jobs.job import STAGES, Job, State
from ui.owners import Owner
from ui.routes import MediaOfPages, clip_route, frame_route, media_routes, thumbnail_route
from ui.screens.library.export import export_route, export_url
from ui.sign_in.identity import SignIn
from ui.sign_in.session import parse_session
from ui.uploads.reception import UploadsToDisk
from vemoclap_client.contract import FRAME_COUNT

SECRET = "0123456789abcdef0123456789abcdef"
ISSUER = "https://login.example"
VIDEO = b"the bytes of a video"
COOKIE = "_streamlit_user"
UPLOAD_URL = "/_stcore/upload_file/session/file"

Claims = dict[str, Any]


def claims_of(subject: str, **others: object) -> Claims:
    """What st.user has of a person who has just signed in."""
    claims = {"iss": ISSUER, "sub": subject, "iat": time.time(), "nonce": f"{subject}'s"}
    return {**claims, "is_logged_in": True, "provider": "default", **others}


def owner_of(subject: str) -> Owner:
    return Owner.from_user(ISSUER, subject)


def cookie(claims: Mapping[str, Any], secret: str = SECRET, name: str = COOKIE) -> str:
    """The cookie as Streamlit 1.67 signs it; the browser test has Streamlit sign it."""
    return signed(json.dumps({"origin": ADDRESS, **claims}), secret, name)


def signed(text: str, secret: str = SECRET, name: str = COOKIE) -> str:
    return str(URLSafeTimedSerializer(secret, salt=name).dumps(text))


@pytest.fixture
def sign_in(app: Application, monkeypatch: pytest.MonkeyPatch) -> SignIn:
    """The app, where people sign in."""
    monkeypatch.setattr("ui.sign_in.identity.get_cookie_secret", lambda: SECRET)
    return fake_sign_in(app, monkeypatch, ("default",))


@pytest.fixture
def web(app: Application, sign_in: SignIn) -> Iterator[TestClient]:
    """All routes of the app, and two of Streamlit's."""
    with serving() as client:
        yield client


@contextmanager
def serving() -> Iterator[TestClient]:
    routes = [
        *media_routes(library_of),
        export_route(library_of),
        Route("/media/picture.jpg", lambda _: PlainTextResponse("a picture")),
        Route(UPLOAD_URL, lambda _: PlainTextResponse("taken"), methods=["PUT"]),
    ]
    middleware = [
        Middleware(MediaOfPages, library_of),
        Middleware(UploadsToDisk, library_of, lambda _: True),
    ]
    with TestClient(Starlette(routes=routes, middleware=middleware)) as client:
        yield client


def add_clip(app: Application, subject: str, owner: Owner | None = None) -> Job:
    """A clip of a person, with its file, frames and result."""

    def fill(folder: Path) -> None:
        (folder / "clip.mp4").write_bytes(VIDEO)

    name = f"{subject}.mp4"
    job = app.store.create(name, UPLOAD, STAGES[1:], fill, owner or owner_of(subject))
    media.write_frames(app.store, job.id, np.zeros((FRAME_COUNT, 8, 8, 3), np.uint8))
    result = make_result(name, "joy")
    return app.store.change(job.id, lambda job: replace(job, state=State.DONE, result=result))


def addresses(job: Job) -> list[str]:
    routes = [clip_route(job.id), frame_route(job.id, 0), thumbnail_route(job.id)]
    return [*routes, export_url([job.id])]


def test_each_gets_their_own_files_and_nobody_those_of_others(
    app: Application, web: TestClient
) -> None:
    jobs = {subject: add_clip(app, subject) for subject in ("anna", "ben")}
    for subject in jobs:
        web.cookies.set(COOKIE, cookie(claims_of(subject)))
        for other, job in jobs.items():
            expected = 200 if other == subject else 404
            for address in addresses(job):
                assert web.get(address).status_code == expected, (subject, address)
        exported = web.get(export_url([])).content
        both = web.get(export_url([job.id for job in jobs.values()])).content
        assert b"clips.csv" in exported and both == exported


def test_another_s_clip_answers_as_one_that_never_was(app: Application, web: TestClient) -> None:
    job = add_clip(app, "anna")
    web.cookies.set(COOKIE, cookie(claims_of("ben")))
    for address in addresses(job):
        never = web.get(address.replace(job.id, "nobody"))
        theirs = web.get(address)
        assert (theirs.status_code, theirs.text.replace(job.id, "nobody")) == (404, never.text)
        assert theirs.headers == {**never.headers, "content-length": str(len(theirs.content))}


INVALID: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "no signature": lambda: "anna",
    "another secret": lambda: cookie(claims_of("anna"), secret="another secret, and as long"),
    "another cookie's": lambda: cookie(claims_of("anna"), name="_streamlit_user_tokens"),
    "cut off": lambda: cookie(claims_of("anna"))[:-2],
    "another app's": lambda: cookie(claims_of("anna", origin="https://another.example")),
    "no app's": lambda: cookie(claims_of("anna", origin=None)),
    "not signed in": lambda: cookie(claims_of("anna", is_logged_in=False)),
    "too old": lambda: cookie(claims_of("anna", iat=time.time() - 13 * 3600)),
    "no time": lambda: cookie(claims_of("anna", iat=None)),
    "no subject": lambda: cookie(claims_of("")),
    "several subjects": lambda: cookie(claims_of("anna", sub=["anna"])),
    "no issuer": lambda: cookie(claims_of("anna", iss=None)),
    "a list": lambda: signed("[]"),
    "no JSON": lambda: signed("no JSON"),
    "pieces that are not there": lambda: signed("chunks-2"),
}


@pytest.mark.parametrize("kind", ["none", *INVALID])
def test_without_a_valid_cookie_nothing_is_served(
    app: Application, web: TestClient, kind: str
) -> None:
    job = add_clip(app, "anna")
    if kind != "none":
        web.cookies.set(COOKIE, INVALID[kind]())
    answers = [web.get(address) for address in (*addresses(job), export_url([]), "/media/x.jpg")]
    answers += [web.get(clip_route("nobody")), web.get("/media/picture.jpg")]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, "sign in first")}


def test_a_file_is_received_of_those_who_signed_in(app: Application, web: TestClient) -> None:
    files = {"file": ("clip.mp4", VIDEO)}
    refused = web.put(UPLOAD_URL, files=files)
    assert (refused.status_code, refused.text) == (401, "sign in first")
    assert list(app.store.uploads.iterdir()) == []
    web.cookies.set(COOKIE, cookie(claims_of("anna")))
    assert web.put(UPLOAD_URL, files=files).text == "taken"
    [received] = app.store.uploads.iterdir()
    assert received.name.startswith(f"{owner_of('anna').tag}-")


def test_pictures_of_pages_are_for_those_who_signed_in(web: TestClient) -> None:
    web.cookies.set(COOKIE, cookie(claims_of("anna")))
    assert web.get("/media/picture.jpg").text == "a picture"


def test_a_cookie_in_pieces_is_read(app: Application, web: TestClient) -> None:
    """Streamlit splits one that is too long for a browser."""
    job = add_clip(app, "anna")
    text = json.dumps({"origin": ADDRESS, **claims_of("anna", groups=["group"] * 1000)})
    pieces = {COOKIE: "chunks-2", f"{COOKIE}_1": text[:3000], f"{COOKIE}_2": text[3000:]}
    for name, piece in pieces.items():
        web.cookies.set(name, signed(piece, name=name))
    assert web.get(clip_route(job.id)).content == VIDEO


def test_a_session_ends_where_it_is_signed_out_and_stays_ended(
    app: Application, sign_in: SignIn, web: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = add_clip(app, "anna")
    first, second = claims_of("anna"), claims_of("anna", nonce="of another browser")
    session = sign_in.session(first)
    assert session is not None
    sign_in.sign_out(session)
    fake_sign_in(app, monkeypatch, ("default",))  # As after a restart.
    for claims, status in ((first, 401), (second, 200)):
        web.cookies.set(COOKIE, cookie(claims))
        assert web.get(clip_route(job.id)).status_code == status


def test_ended_sessions_are_forgotten_when_they_would_have_ended(
    app: Application, sign_in: SignIn
) -> None:
    sign_in.ended.add("old", time.time() - 1)
    sign_in.ended.add("new", time.time() + 60)
    with sqlite3.connect(app.store.data / "sessions.sqlite") as connection:
        assert connection.execute("SELECT id FROM ended").fetchall() == [("new",)]


def test_a_person_s_name_and_address_are_not_who_they_are() -> None:
    one = parse_session(claims_of("1", email="a@x.example", name="Anna"), 12)
    moved = parse_session(claims_of("1", email="anna@y.example", name="Anna B."), 12)
    other = parse_session(claims_of("2", email="a@x.example", name="Anna"), 12)
    assert one is not None and moved is not None and other is not None
    assert one.owner == moved.owner != other.owner
    assert [session.name for session in (one, moved, other)] == ["Anna", "Anna B.", "Anna"]


@pytest.mark.parametrize("page", ["analyze", "library", "service", "about", "result", "compare"])
def test_every_page_asks_to_sign_in(app: Application, sign_in: SignIn, page: str) -> None:
    job = add_clip(app, "anna")
    opened = open_page(page, id=job.id, ids=job.id)
    assert [title.value for title in opened.title] == ["Sign in"]
    assert [button.label for button in opened.button] == ["Sign in"]
    assert "anna.mp4" not in texts(opened)


def signed_in(subject: str, page: str = "analyze", **query: str) -> AppTest:
    """A page as a person sees it."""
    return open_page(page, claims_of(subject, name=f"{subject} *B*"), **query)


def texts(page: AppTest) -> str:
    """What is written on a page as HTML, as text or below it."""
    elements = [*page.get("html"), *page.get("text"), *page.get("caption"), *page.markdown]
    return "\n".join(getattr(e, "body", None) or getattr(e, "value", "") for e in elements)


def test_pages_show_a_person_s_own_clips(app: Application, sign_in: SignIn) -> None:
    jobs = {subject: add_clip(app, subject) for subject in ("anna", "ben")}
    own = signed_in("anna", "library")
    assert not own.exception
    table = own.dataframe[0].value
    assert list(table["name"]) == ["anna.mp4"]
    assert [button.label for button in own.button].count("Sign out") == 1
    assert any(r"anna \*B\*" in caption.value for caption in own.caption)
    assert any("you alone see them" in caption.value for caption in own.caption)
    theirs = signed_in("anna", "result", id=jobs["ben"].id)
    assert "This clip is not here" in texts(theirs) and "ben.mp4" not in texts(theirs)
    both = ",".join(job.id for job in jobs.values())
    compared = signed_in("anna", "compare", ids=both)
    assert "Two clips with a result are needed" in compared.info[0].value
    assert "ben.mp4" not in texts(compared)


def test_two_own_clips_are_compared_in_place_of_another_s(
    app: Application, sign_in: SignIn
) -> None:
    own = [add_clip(app, "anna"), add_clip(app, "anna")]
    other = add_clip(app, "ben")
    compared = signed_in("anna", "compare", ids=f"{other.id},{own[0].id}")
    assert not compared.exception
    assert "Not there, or without a result" in compared.warning[0].value
    assert {box.value for box in compared.selectbox} == {job.id for job in own}


def test_signing_out_ends_the_session_of_every_tab(app: Application, sign_in: SignIn) -> None:
    page, tab = signed_in("anna", "about"), signed_in("anna", "about")
    tab.user = dict(page.user)
    assert tab.run().title[0].value == "About"
    press(page, "Sign out")
    assert page.run().title[0].value == "Sign in"
    assert tab.run().title[0].value == "Sign in"


def test_a_link_becomes_the_person_s_clip(app: Application, sign_in: SignIn) -> None:
    page = signed_in("anna")
    page.text_input[0].set_value("https://videos.example/1")
    press(page, "Analyze link")
    assert [job.name for job in app.library(owner_of("anna")).list_jobs()] == [
        "https://videos.example/1"
    ]
    assert app.library(owner_of("ben")).list_jobs() == []


def test_behind_the_gateway_files_are_those_of_the_token(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(app.settings, is_behind_gateway=True)
    fake_sign_in(dataclasses.replace(app, settings=settings), monkeypatch)
    tokens = {name: {"X-Vemoclap-Client": name} for name in ("anna", "ben")}
    jobs = {name: add_clip(app, name, Owner.from_token(name)) for name in tokens}
    with serving() as web:
        for name, headers in tokens.items():
            for other, job in jobs.items():
                found = {web.get(path, headers=headers).status_code for path in addresses(job)}
                assert found == {200 if name == other else 404}
            assert web.get("/media/picture.jpg", headers=headers).status_code == 200
        for headers in ({}, {"X-Vemoclap-Client": ""}):
            for path in (*addresses(jobs["anna"]), export_url([]), "/media/picture.jpg"):
                refused = web.get(path, headers=headers)
                assert refused.status_code == 401 and "gateway" in refused.text
    page = open_page("library")
    assert "whose token" in page.error[0].value
    assert not page.button and "anna.mp4" not in texts(page)


def test_where_people_sign_in_a_token_opens_no_page(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(app.settings, is_behind_gateway=True)
    sign_in = fake_sign_in(dataclasses.replace(app, settings=settings), monkeypatch, ("default",))
    headers = {"x-vemoclap-client": "anna"}
    assert sign_in.owner_of_page({}, headers) is None
    assert sign_in.owner_of_page(claims_of("anna"), headers) == owner_of("anna")
