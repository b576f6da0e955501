"""The first page and the frame of the app, without a browser and without a server."""

import re
import shutil
import time
from itertools import pairwise
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import ui
from tests.clips import write_clip
from tests.unit.app_fixture import (
    NO_SERVER,
    RecordingRunner,
    done_job,
    failed_job,
    open_page,
    press,
    press_twice,
    switch,
    waiting_job,
    working_job,
)
from ui.application import Application
from ui.jobs.job import SourceKind, State
from ui.jobs.record import cancelled
from ui.owners import EVERYONE
from ui.parts import server_status
from ui.parts.markdown import plain
from ui.parts.uploader import MOST_PROBLEMS_SHOWN
from ui.uploads.reception import make_token
from vemoclap_client import EmotionClient
from vemoclap_client.errors import RequestTimeoutError, ServerNotReadyError

CLIP = b"the bytes of a video"
PAGES = ("analyze", "about", "library", "service", "result", "compare")


@pytest.fixture(autouse=True)
def _nothing_is_known_yet() -> None:
    """What pages found out about a server is kept for some seconds, across tests too."""
    server_status.find_problem.clear()


@pytest.fixture
def _server_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmotionClient, "check_ready", lambda client: None)


@pytest.fixture
def samples(app: Application) -> Path:
    """The folder of samples, with two in it, of which the app knows one by name."""
    folder = app.settings.samples
    folder.mkdir()
    write_clip(folder / "own_clip.mp4", seconds=0.2)
    shutil.copy(folder / "own_clip.mp4", folder / "portrait.mp4")
    return folder


def receive(app: Application, name: str, identifier: str) -> tuple[str, bytes, str]:
    """A file as the app's middleware receives it, and what Streamlit then gets of it."""
    app.store.uploads.mkdir(parents=True, exist_ok=True)
    identifier = f"{EVERYONE.tag}-{identifier}"
    (app.store.uploads / identifier).write_bytes(CLIP)
    return name, make_token(identifier), "video/mp4"


def send_link(page: AppTest, link: str) -> AppTest:
    page.text_input[0].set_value(link)
    return press(page, "Analyze link")


def wakes(app: Application) -> int:
    assert isinstance(app.runner, RecordingRunner)
    return app.runner.wakes


def headings(page: AppTest) -> list[str]:
    return [heading.value for heading in (*page.title, *page.header)]


def said(page: AppTest) -> str:
    """All that a page says in plain sentences."""
    parts = (*page.markdown, *page.caption, *page.warning, *page.error, *page.info)
    return "\n".join(part.value for part in parts)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_before_there_is_a_clip(app: Application, page: str) -> None:
    assert not open_page(page).exception


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_where_there_are_clips(app: Application, page: str) -> None:
    jobs = [make(app.store) for make in (waiting_job, working_job, failed_job, done_job)]
    for job in jobs:
        assert not open_page(page, id=job.id).exception


def test_menu_lists_the_four_pages_on_each_page(app: Application) -> None:
    for page in PAGES:
        labels = [link.label for link in open_page(page).page_link]
        assert labels[:4] == ["Analyze", "Library", "Service", "About"]


def test_every_control_of_the_first_page_has_a_name_of_its_own(
    app: Application, samples: Path
) -> None:
    page = open_page()

    names = [found.label for found in (*page.file_uploader, *page.text_input, *page.button)]

    assert len(names) == 5
    assert all(names)
    assert len(set(names)) == len(names)


def test_first_page_says_the_limits_and_what_happens_to_clips(app: Application) -> None:
    page = open_page()

    assert "up to 2 GB each" in page.file_uploader[0].label
    assert "Up to 60 minutes" in said(page)
    assert "stay on this server for 30 days" in said(page)
    assert "until all files are uploaded" in said(page)
    assert "Everyone who can open this app" in said(page)


def test_uploader_takes_files_of_any_name(app: Application) -> None:
    uploader = open_page().file_uploader[0]

    assert uploader.allowed_type == []
    assert uploader.accept_multiple_files


def test_one_upload_becomes_a_job_and_opens_its_result(app: Application) -> None:
    page = open_page()
    page.file_uploader[0].set_value([receive(app, "holiday.MP4", "0" * 32)])
    page.run()

    (job,) = app.store.list_jobs()
    assert (job.name, job.source.kind, job.state) == (
        "holiday.MP4",
        SourceKind.UPLOAD,
        State.WAITING,
    )
    assert (app.store.folder(job.id) / "clip.mp4").read_bytes() == CLIP
    assert wakes(app) == 1
    assert page.query_params == {"id": job.id}
    assert not page.exception


def test_several_uploads_become_jobs_and_open_the_library(app: Application) -> None:
    page = open_page()
    page.file_uploader[0].set_value(
        [receive(app, "one.mp4", "1" * 32), receive(app, "two.mkv", "2" * 32)]
    )
    page.run()

    assert {job.name for job in app.store.list_jobs()} == {"one.mp4", "two.mkv"}
    assert wakes(app) == 2
    assert page.title[0].value == "Library"
    assert page.query_params == {}


def test_uploads_are_taken_once(app: Application) -> None:
    page = open_page()
    page.file_uploader[0].set_value([receive(app, "one.mp4", "1" * 32)])
    page.run()
    switch(page)
    page.run()

    assert len(app.store.list_jobs()) == 1
    assert not page.error


def test_upload_that_is_no_longer_there_is_said_and_the_others_are_taken(app: Application) -> None:
    gone = receive(app, "gone*.mp4", "3" * 32)
    (app.store.uploads / f"{EVERYONE.tag}-{'3' * 32}").unlink()
    page = open_page()
    page.file_uploader[0].set_value([gone, receive(app, "here.mp4", "4" * 32)])
    page.run()

    (job,) = app.store.list_jobs()
    assert job.name == "here.mp4"
    assert page.title[0].value == "Which emotion does a video convey?"
    assert any(plain("here.mp4") in link.label for link in page.page_link)
    for _ in range(2):
        assert len(page.error) == 1
        assert plain("gone*.mp4") in page.error[0].value
        page.run()
    switch(page, "library")
    assert not switch(page).error


@pytest.mark.parametrize("page_name", ["analyze", "library"])
def test_files_that_were_taken_stay_in_the_uploader_and_are_not_taken_again(
    app: Application, page_name: str
) -> None:
    """The uploader shows what it refused itself only as long as it is the same."""
    page = open_page(page_name)
    gone = receive(app, "gone.mp4", "5" * 32)
    (app.store.uploads / f"{EVERYONE.tag}-{'5' * 32}").unlink()
    page.file_uploader[0].set_value([gone, receive(app, "one.mp4", "6" * 32)])
    page.run()
    uploader = page.file_uploader[0]
    assert [file.name for file in uploader.value] == ["gone.mp4", "one.mp4"]
    page.run()
    assert len(app.store.list_jobs()) == 1
    assert len(page.error) == 1


def test_very_many_problems_are_counted(app: Application) -> None:
    page = open_page("library")
    page.file_uploader[0].set_value(
        [(f"{number}.mp4", b"no token", "video/mp4") for number in range(25)]
    )
    page.run()
    assert len(page.error) == MOST_PROBLEMS_SHOWN + 1
    assert "15 clips" in page.error[-1].value


def test_link_becomes_a_job_and_opens_its_result(app: Application) -> None:
    page = send_link(open_page(), "  https://example.org/clip.mp4 ")

    (job,) = app.store.list_jobs()
    assert job.source.kind is SourceKind.LINK
    assert job.source.location == job.name == "https://example.org/clip.mp4"
    assert "fetch" in job.stages
    assert wakes(app) == 1
    assert page.query_params == {"id": job.id}


@pytest.mark.parametrize("link", ["", "   ", "example.org/clip.mp4", "file:///etc/passwd"])
def test_link_that_cannot_be_used_is_said_at_once(app: Application, link: str) -> None:
    page = send_link(open_page(), link)

    assert len(page.error) == 1
    assert app.store.list_jobs() == []
    assert page.title[0].value == "Which emotion does a video convey?"


def test_sample_becomes_a_job_and_opens_its_result(app: Application, samples: Path) -> None:
    page = open_page()
    press(page, "Analyze “Portrait”")

    (job,) = app.store.list_jobs()
    assert job.source.kind is SourceKind.SAMPLE
    assert Path(job.source.location) == (samples / "portrait.mp4").resolve()
    assert wakes(app) == 1
    assert page.query_params == {"id": job.id}


def test_second_press_opens_what_the_first_added(app: Application, samples: Path) -> None:
    page = press_twice(open_page(), "Analyze “Portrait”")

    (job,) = app.store.list_jobs()
    assert page.query_params == {"id": job.id}
    app.store.change(job.id, cancelled)
    press(switch(page), "Analyze “Portrait”")
    assert len(app.store.list_jobs()) == 2


def test_sample_that_cannot_be_decoded_has_no_picture_but_a_page(
    app: Application, samples: Path
) -> None:
    (samples / "own_clip.mp4").write_bytes(b"not a video")

    page = open_page()

    assert not page.exception
    assert "No picture of this clip" in said(page)


def test_missing_samples_are_said_with_what_brings_them(app: Application) -> None:
    assert "make samples" in said(open_page())


def test_clips_of_this_session_are_listed_with_what_came_out(
    app: Application, samples: Path
) -> None:
    done_job(app.store, "of an earlier session.mp4")
    page = open_page()
    press(page, "Analyze “Portrait”")
    switch(page)

    assert "Your clips" in headings(page)
    listed = [link.label for link in page.page_link if "waits its turn" in link.label]
    assert listed == [f"{plain('portrait.mp4')}: waits its turn"]
    assert not any("earlier" in link.label for link in page.page_link)


def test_clip_of_this_session_that_was_deleted_is_not_listed(
    app: Application, samples: Path
) -> None:
    page = open_page()
    press(page, "Analyze “Portrait”")
    app.store.delete(app.store.list_jobs()[0].id)
    switch(page)

    assert not page.exception
    assert "Your clips" not in headings(page)


def test_server_that_is_not_there_is_said_with_what_to_do(app: Application) -> None:
    page = open_page()

    (warning,) = page.warning
    assert NO_SERVER in warning.value
    assert "make serve" in warning.value
    assert page.file_uploader


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ServerNotReadyError("loading"), "still loading"),
        (RequestTimeoutError("slow"), "did not answer within 1 second"),
    ],
)
def test_server_that_cannot_classify_yet_is_said(
    app: Application, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def check_ready(client: EmotionClient) -> None:
        raise error

    monkeypatch.setattr(EmotionClient, "check_ready", check_ready)

    assert words in open_page().warning[0].value


@pytest.mark.usefixtures("_server_is_ready")
def test_nothing_is_said_of_a_server_that_is_ready(app: Application) -> None:
    assert not open_page().warning


def test_server_is_asked_once_in_some_seconds(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a page takes on a busy machine."""
    asked_s: list[float] = []
    monkeypatch.setattr(
        EmotionClient, "check_ready", lambda client: asked_s.append(time.monotonic())
    )

    for _ in range(3):
        open_page()

    assert asked_s
    assert all(
        later - earlier >= server_status.CHECKED_FOR_S for earlier, later in pairwise(asked_s)
    )


def test_each_page_says_which_head_gave_the_latest_answer(app: Application) -> None:
    assert "Each result names the head" in open_page("about").caption[-1].value
    done_job(app.store)

    for page in PAGES:
        answer = open_page(page).caption[-1].value
        assert "embedded profile, head: zero-shot (not trained on" in answer


def test_about_says_what_it_must_not_be_used_for_and_what_is_kept(app: Application) -> None:
    page = open_page("about")

    assert "Do not use this to judge, select, monitor or score people" in said(page)
    assert "Article 5(1)(f)" in said(page)
    assert "30 days" in said(page)
    assert "https://arxiv.org/abs/2410.21303" in said(page)


def test_about_and_readme_say_the_same_of_the_numbers() -> None:
    root = Path(__file__).parents[2]
    sentence = "expressions are classified wrongly more often for some groups of people than for"
    for file in ("README.md", "ui/screens/about/page.py"):
        words = " ".join((root / file).read_text(encoding="utf-8").split())
        assert sentence in words
        assert "Do not use this to judge, select, monitor or score people" in words


LAYERS = (
    "logs",
    "settings",
    "owners",
    "files",
    "jobs",
    "sign_in",
    "application",
    "uploads",
    "api",
    "routes",
    "parts",
    "screens",
    "app",
)
"""Parts of ui/, each of which imports only those before it; serve.py beside app.py."""


def test_no_import_of_the_app_points_upwards() -> None:
    root = Path(ui.__file__).parent
    for rank, layer in enumerate(LAYERS):
        for path in [*root.glob(f"{layer}.py"), *(root / layer).rglob("*.py")]:
            imported = re.findall(r"^from ui[.](\w+)", path.read_text(), re.MULTILINE)
            assert {LAYERS.index(name) for name in imported} <= set(range(rank + 1)), path
            pages = re.findall(r"^from ui[.]screens[.](\w+)", path.read_text(), re.MULTILINE)
            assert layer == "app" or set(pages) <= {path.parent.name}, path
