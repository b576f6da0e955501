"""What the app serves beside its pages: clips with ranges, frames, thumbnails."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit.web.server.starlette.starlette_gzip_middleware import SelectiveGZipMiddleware

from tests.clips import write_clip
from ui import routes
from ui.api.access import check_host
from ui.api.openapi import API
from ui.application import Application
from ui.jobs import media
from ui.jobs.job import STAGES, Job, Source, SourceKind
from ui.jobs.runner import Runner
from ui.jobs.store import JobStore
from ui.owners import EVERYONE
from ui.settings import Settings

VIDEO = bytes(range(256)) * 40


@pytest.fixture
def app(tmp_path: Path) -> Application:
    for name in ("samples", "clips"):
        (tmp_path / name).mkdir()
    settings = Settings(tmp_path / "data", folder=tmp_path / "clips", samples=tmp_path / "samples")
    store = JobStore(settings.data)
    return Application(settings, store, Runner(settings, store))


@pytest.fixture
def web(app: Application) -> Iterator[TestClient]:
    """The routes behind what Streamlit puts before them."""
    served = Starlette(
        routes=routes.media_routes(lambda _: app.library(EVERYONE)),
        middleware=[Middleware(SelectiveGZipMiddleware)],
    )
    with TestClient(served) as client:
        yield client


def add_upload(app: Application, name: str = "clip.mp4") -> Job:
    return app.store.create(
        name,
        Source(SourceKind.UPLOAD, name),
        STAGES[1:],
        lambda folder: (folder / media.clip_name(name)).write_bytes(VIDEO),
    )


def add_frames(app: Application, job: Job) -> None:
    frames = np.zeros((16, 360, 640, 3), np.uint8)
    frames[8] = 200
    media.write_frames(app.store, job.id, frames)


def test_a_clip_is_served_whole_and_in_ranges(app: Application, web: TestClient) -> None:
    path = routes.clip_route(add_upload(app).id)
    whole = web.get(path)
    assert (whole.status_code, whole.content) == (200, VIDEO)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    assert "content-encoding" not in whole.headers
    part = web.get(path, headers={"Range": "bytes=1000-2999"})
    assert (part.status_code, part.content) == (206, VIDEO[1000:3000])
    assert part.headers["content-range"] == f"bytes 1000-2999/{len(VIDEO)}"
    assert "content-encoding" not in part.headers
    assert web.get(path, headers={"Range": "bytes=99999-"}).status_code == 416
    assert web.head(path).headers["content-length"] == str(len(VIDEO))


def test_ranges_of_a_clip_of_no_known_type_are_not_compressed(
    app: Application, web: TestClient
) -> None:
    path = routes.clip_route(add_upload(app, "clip.dat").id)
    part = web.get(path, headers={"Range": "bytes=0-4999"})
    assert (part.status_code, part.content) == (206, VIDEO[:5000])
    assert "content-encoding" not in part.headers


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.MP4", "video/mp4"),
        ("a.webm", "video/webm"),
        ("a.mkv", "video/x-matroska"),
        ("page.html", "application/octet-stream"),
        ("picture.svg", "application/octet-stream"),
        ("name", "application/octet-stream"),
        ("../../x.mp4/..", "application/octet-stream"),
    ],
)
def test_a_clip_is_never_a_page(
    app: Application, web: TestClient, name: str, content_type: str
) -> None:
    answer = web.get(routes.clip_route(add_upload(app, name).id))
    assert answer.headers["content-type"] == content_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_frames_and_thumbnails(app: Application, web: TestClient) -> None:
    job = add_upload(app)
    for path in (routes.frame_route(job.id, 0), routes.thumbnail_route(job.id)):
        assert web.get(path).status_code == 404
    add_frames(app, job)
    frame = web.get(routes.frame_route(job.id, 8))
    assert frame.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(frame.content)) as image:
        assert image.size == (640, 360)
        assert image.getpixel((320, 180)) == pytest.approx((200, 200, 200), abs=2)
    small = web.get(routes.thumbnail_route(job.id))
    with Image.open(io.BytesIO(small.content)) as image:
        assert (image.format, image.size) == ("JPEG", (320, 180))
    for index in ("16", "-1", "x", "08%2f..%2f..%2fclip"):
        assert web.get(f"/clips/{job.id}/frames/{index}").status_code == 404


def test_a_sample_s_thumbnail_is_made_once(app: Application) -> None:
    clip = app.settings.samples / "a clip.mp4"
    write_clip(clip, seconds=1)
    made = [media.sample_thumbnail(app.store, app.runner.decoder, clip) for _ in range(2)]
    assert made[0] == made[1]
    assert list(app.store.thumbnails.iterdir()) == made[:1]
    with Image.open(made[0]) as image:
        assert image.format == "JPEG"


@pytest.mark.parametrize(
    "path",
    [
        "/clips/nobody/clip",
        "/clips/nobody/frames/0",
        "/clips/nobody/thumbnail",
        "/clips/../clip",
        "/clips/%2e%2e/clip",
        "/clips/..%2fuploads/clip",
        "/clips/%00/clip",
        "/samples/a.mp4/thumbnail",
    ],
)
def test_nothing_else_is_served(
    app: Application, web: TestClient, tmp_path: Path, path: str
) -> None:
    (tmp_path / "private.mp4").write_bytes(VIDEO)
    (app.store.uploads / "clip.mp4").write_bytes(VIDEO)
    assert web.get(path).status_code == 404


def test_a_clip_of_the_server_outside_of_its_folder_is_not_served(
    app: Application, web: TestClient, tmp_path: Path
) -> None:
    assert app.settings.folder is not None
    inside, outside = app.settings.folder / "in.mp4", tmp_path / "out.mp4"
    for path in (inside, outside):
        path.write_bytes(VIDEO)
    link = app.settings.folder / "link.mp4"
    link.symlink_to(outside)
    for path, status in ((inside, 200), (outside, 404), (link, 404)):
        source = Source(SourceKind.FOLDER, str(path))
        job = app.store.create(path.name, source, STAGES[1:])
        assert web.get(routes.clip_route(job.id)).status_code == status


def test_a_deleted_clip_is_no_longer_served(app: Application, web: TestClient) -> None:
    job = add_upload(app)
    app.store.delete(job.id)
    assert web.get(routes.clip_route(job.id)).status_code == 404


class Hub:
    """The web app with a route of each kind, behind the check of the host."""

    def __init__(self, settings: Settings) -> None:
        async def socket(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.close()

        self.seen: list[str] = []
        paths = ("/", "/clips/export", "/media/a.jpg", f"{API}/clips")
        served = Starlette(
            routes=[
                *(Route(path, lambda _: PlainTextResponse("a page")) for path in paths),
                WebSocketRoute("/_stcore/stream", socket),
            ],
            middleware=[
                Middleware(routes.KnownHosts, lambda headers: check_host(headers, settings))
            ],
        )
        self.client = TestClient(served)

    def answers(self, host: str) -> dict[str, int]:
        """Path -> status, with this header Host."""
        headers = {"Host": host}
        found = {
            path: self.client.get(path, headers=headers).status_code
            for path in ("/", "/clips/export", "/media/a.jpg", f"{API}/clips")
        }
        try:
            with self.client.websocket_connect("/_stcore/stream", headers=headers):
                return found | {"socket": 101}
        except WebSocketDisconnect:
            return found | {"socket": 403}


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("localhost:8501", True),
        ("127.0.0.1:8501", True),
        ("[::1]:8501", True),
        ("192.168.7.20:8501", True),
        ("[fd00::1]", True),
        ("Clips.example", True),
        ("evil.example:8501", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("app:8501", False),
        ("", False),
    ],
)
def test_pages_answer_by_the_app_s_own_names_alone(host: str, is_known: bool) -> None:
    """A page of another site may make its own name resolve to this machine."""
    answers = Hub(Settings(Path(), hosts=frozenset({"clips.example"}))).answers(host)
    # The API checks it itself, and answers in its own form.
    assert answers.pop(f"{API}/clips") == 200
    assert answers.pop("socket") == (101 if is_known else 403)
    assert set(answers.values()) == {200 if is_known else 403}
    behind = Hub(Settings(Path(), is_behind_gateway=True)).answers(host)
    assert set(behind.values()) == {101, 200}


def test_outside_of_a_page_a_url_is_its_path() -> None:
    assert routes.media_url("/clips/a/clip") == "/clips/a/clip"
