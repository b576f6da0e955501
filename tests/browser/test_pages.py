"""The other pages, and what holds for every page: phones, keyboards, screen readers, themes."""

import io
import re
import shutil
import zipfile
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, expect

from tests.browser.driving import RunningApp, running_app
from tests.browser.steps import ANSWER_MS, WEBSOCKET, expect_answer, upload
from tests.launching import Launched
from tests.unit.app_fixture import done_job
from ui.jobs.store import JobStore

PHONE = {"width": 390, "height": 844}
PAGES = ("/", "/library", "/compare", "/service", "/about")
SERIOUS = ("serious", "critical")
NEVER_STALE = '[data-stale="true"] { opacity: 1 !important; transition: none !important }'
"""What is drawn anew is paler until it is there; some pages are drawn anew every other second."""


def settled(page: Page, path: str) -> None:
    """Opens a page and waits until it is drawn."""
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)


def test_several_files_go_to_the_library(page: Page, samples: Path) -> None:
    page.goto("/")
    upload(page, samples / "title_card.mp4", samples / "bunny.mp4")
    expect(page).to_have_url(re.compile("/library$"))
    expect(page.get_by_role("heading", name="Library")).to_be_visible()


def test_a_file_that_is_too_large_is_still_said_when_the_others_are_added(
    browser: Browser, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("large.mp4", "one.mp4", "two.mp4")]
    for file, size in zip(files, (1_100_000, 5, 5), strict=True):
        file.write_bytes(bytes(size))
    with running_app(tmp_path / "app", None, {"VEMOCLAP_APP_UPLOAD_MB": "1"}) as small:
        page = browser.new_page()
        page.goto(f"{small.url}/library")
        upload(page, *files)
        expect(page.get_by_text("2 clips added.")).to_be_visible()
        expect(page.get_by_text("File must be 1.0MB or smaller.")).to_be_visible()
        page.close()


def test_the_servers_folder_is_offered_and_everything_is_exported(
    page: Page, app: RunningApp, samples: Path, finished: dict[str, str]
) -> None:
    shutil.copy(samples / "bunny.mp4", app.folder / "from the folder.mp4")
    settled(page, "/library")
    page.get_by_text("Add clips").click()
    expect(page.get_by_text("From the server’s folder")).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("link", name=re.compile("export", re.IGNORECASE)).or_(
            page.get_by_role("button", name=re.compile("export", re.IGNORECASE))
        ).first.click()
    archive = zipfile.ZipFile(io.BytesIO(waiting.value.path().read_bytes()))
    assert archive.testzip() is None
    names = archive.namelist()
    assert any(name.endswith(".json") for name in names)
    assert any(name.endswith(".csv") for name in names)


def test_a_page_of_another_site_that_resolves_to_this_machine_gets_nothing(
    app: RunningApp, finished: dict[str, str]
) -> None:
    """Its browser sends its own name as Host, and as Origin: to Streamlit that is the app's."""
    port = app.url.rpartition(":")[2]
    log = app.data.parent / "app.log"
    logged_before = len(log.read_text())
    for host, is_known in ((f"evil.example:{port}", False), (f"127.0.0.1:{port}", True)):
        headers = {"Host": host, "Origin": f"http://{host}"}
        asked = {"/": {}, "/clips/export": {}, "/_stcore/stream": WEBSOCKET}
        found = {path: status(port, path, headers | more) for path, more in asked.items()}
        expected = (200, 200, 101) if is_known else (403, 403, 403)
        assert tuple(found.values()) == expected
    assert "ERROR" not in log.read_text()[logged_before:]


def status(port: str, path: str, headers: dict[str, str]) -> int:
    """Of the answer of the app on this machine."""
    with closing(HTTPConnection("127.0.0.1", int(port), timeout=30)) as connection:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status


def test_two_clips_are_compared(page: Page, finished: dict[str, str]) -> None:
    identifiers = ",".join(address.rpartition("=")[2] for address in finished.values())
    settled(page, f"/compare?ids={identifiers}")
    expect(page.get_by_text("portrait.mp4").first).to_be_visible()
    expect(page.get_by_text("title_card.mp4").first).to_be_visible()
    expect(page.get_by_role("heading", name="Over time")).to_be_visible(timeout=ANSWER_MS)


def test_the_service_page_shows_every_model(page: Page) -> None:
    settled(page, "/service")
    for slot in ("vemoclap", "face_detector", "fusion"):
        expect(page.get_by_text(slot).first).to_be_attached()


@pytest.mark.parametrize("path", [*PAGES, "result"])
def test_a_phone_shows_a_page_without_scrolling_sideways(
    browser: Browser, app: RunningApp, path: str, finished: dict[str, str]
) -> None:
    context = browser.new_context(base_url=app.url, viewport=PHONE)
    page = context.new_page()
    settled(page, finished["Portrait"] if path == "result" else path)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", [*PAGES, "result"])
def test_no_serious_barrier_is_found(
    browser: Browser, app: RunningApp, path: str, scheme: str, finished: dict[str, str]
) -> None:
    """As axe-core sees it: names, roles, contrast, order of headings."""
    context = browser.new_context(base_url=app.url, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    settled(page, finished["Portrait"] if path == "result" else path)
    if path == "result":
        expect_answer(page, "joy")
        page.get_by_text("0:02 joy").click()
        expect(page.locator("video[autoplay]")).to_have_count(1)
    page.add_style_tag(content=NEVER_STALE)
    found = [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]
    context.close()
    assert found == []


def test_the_first_address_that_is_opened_may_be_any(
    browser: Browser, server: Launched, tmp_path: Path
) -> None:
    """Streamlit would show a menu of its own until its navigation has run once."""
    with running_app(tmp_path, server) as fresh:
        page = browser.new_page()
        page.goto(f"{fresh.url}/about")
        expect(page.get_by_role("heading", name="About")).to_be_visible()
        expect(page.get_by_role("link", name="Analyze")).to_be_visible()
        expect(page.get_by_test_id("stSidebar")).to_have_count(0)
        page.close()


def test_the_first_press_counts_where_the_session_was_lost(
    browser: Browser, samples: Path, tmp_path: Path
) -> None:
    """By a restart of the app; a computer that slept comes back to no session either."""
    store = JobStore(tmp_path / "data")
    job = done_job(store, "before")
    shutil.copy(samples / "portrait.mp4", store.folder(job.id) / "clip.mp4")
    page = browser.new_page()
    drawn = page.locator('[data-test-script-state="notRunning"]')
    with running_app(tmp_path, None) as first:
        page.goto(f"{first.url}/result?id={job.id}")
        expect(page.get_by_role("heading", name="before")).to_be_visible()
        expect(drawn).to_be_visible()
    store.change(job.id, lambda job: replace(job, name="after"))
    with running_app(tmp_path, None, port=first.url.rpartition(":")[2]):
        # The page asks for a new session by itself: a press would come too early for it.
        expect(page.get_by_role("heading", name="after")).to_be_visible()
        expect(drawn).to_be_visible()
        page.get_by_text("0:04 joy").click()
        expect(page.locator("video[autoplay]")).to_have_count(1)
    page.close()


def test_the_keyboard_alone_gets_to_a_result(page: Page) -> None:
    settled(page, "/")
    button = page.get_by_role("button", name="Analyze “Title cards”")
    expect(button).to_be_enabled()
    for _ in range(60):
        page.keyboard.press("Tab")
        if button.evaluate("(element) => element === document.activeElement"):
            break
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect_answer(page, "sadness")
