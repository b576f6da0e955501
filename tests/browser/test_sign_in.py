"""Two people sign in at a real OpenID provider: neither sees what the other has.

The app needs no Triton for it: clips that cannot be classified are there, too.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.driving import RunningApp, answers, running_app, stop
from tests.browser.steps import FRAMES, PATIENCE_MS, expect_result_page, upload
from tests.launching import free_port, wait_until
from ui.jobs import media
from ui.jobs.store import JobStore
from ui.routes import frame_route
from vemoclap_client.contract import FRAME_COUNT

COOKIE_SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
CLIENT_SECRET = "of-the-app-and-the-provider"
ANNA, BEN = "1001", "1002"
"""Claim `sub` of two people, which the provider's buttons are named by."""

SECRETS = """[auth]
redirect_uri = "http://localhost:{{port}}/oauth2callback"
cookie_secret = "{cookie_secret}"
client_id = "vemoclap"
client_secret = "{client_secret}"
server_metadata_url = "{provider}/.well-known/openid-configuration"
"""


@contextmanager
def running_provider(log: Path) -> Iterator[str]:
    """An OpenID provider with both people; gives its address."""
    port = free_port()
    address = f"http://localhost:{port}"
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    for subject, name in ((ANNA, "Anna"), (BEN, "Ben")):
        command += ["--user-claims", json.dumps({"sub": subject, "name": name})]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        metadata = f"{address}/.well-known/openid-configuration"
        wait_until(lambda: answers(metadata) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield address
    finally:
        stop(process)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The app, where people sign in."""
    folder = tmp_path_factory.mktemp("guarded")
    secrets = folder / "secrets.toml"
    with running_provider(folder / "provider.log") as provider:
        secrets.write_text(
            SECRETS.format(
                cookie_secret=COOKIE_SECRET, client_secret=CLIENT_SECRET, provider=provider
            )
        )
        with running_app(folder, None, {"STREAMLIT_SECRETS_FILES": str(secrets)}) as running:
            yield running


@contextmanager
def person(browser: Browser, app: RunningApp) -> Iterator[BrowserContext]:
    """A browser of somebody's own."""
    context = browser.new_context(base_url=app.url)
    context.set_default_timeout(PATIENCE_MS)
    # The provider's pages ask for a style sheet from elsewhere.
    context.route(re.compile("cdn"), lambda route: route.abort())
    yield context
    context.close()


@pytest.fixture(scope="module")
def anna(browser: Browser, guarded: RunningApp) -> Iterator[Page]:
    with person(browser, guarded) as context:
        yield sign_in(context, ANNA)


@pytest.fixture(scope="module")
def ben(browser: Browser, guarded: RunningApp) -> Iterator[Page]:
    with person(browser, guarded) as context:
        yield sign_in(context, BEN)


def sign_in(context: BrowserContext, subject: str) -> Page:
    page = context.new_page()
    page.goto("/library")
    expect_sign_in(page)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=subject).click()
    expect(page.get_by_role("heading", name="Which emotion does a video convey?")).to_be_visible()
    return page


def expect_sign_in(page: Page) -> None:
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(1)


def status(context: BrowserContext, address: str) -> int:
    return context.request.get(address).status


def test_the_sign_in_page_has_no_barrier(browser: Browser, guarded: RunningApp) -> None:
    with person(browser, guarded) as context:
        page = context.new_page()
        page.goto("/result?id=nobody")
        expect_sign_in(page)
        for address in ("/clips/export", "/clips/nobody/clip", "/media/nothing.jpg"):
            assert status(context, address) == 401, address
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            found = [violation["id"] for violation in Axe().run(page).response["violations"]]
            assert found == [], scheme
        button = page.get_by_role("button", name="Sign in")
        for _ in range(5):
            page.keyboard.press("Tab")
            if button.evaluate("(element) => element === document.activeElement"):
                return
        raise AssertionError("the keyboard does not get to the button")


def test_two_people_do_not_see_each_other_s_clips(
    guarded: RunningApp, anna: Page, ben: Page, samples: Path
) -> None:
    expect(anna.get_by_text("Signed in as Anna")).to_be_visible()
    upload(anna, samples / "title_card.mp4")
    expect_result_page(anna)
    identifier = anna.url.rpartition("=")[2]
    clip = f"/clips/{identifier}/clip"
    expect(anna.get_by_role("button", name="Delete this clip")).to_be_visible()
    served = anna.context.request.get(clip)
    assert served.body() == (samples / "title_card.mp4").read_bytes()
    assert status(anna.context, "/clips/export") == 200
    # There is no server that would have the clip decoded.
    frames = np.zeros((FRAME_COUNT, 90, 160, 3), np.uint8)
    media.write_frames(JobStore(guarded.data), identifier, frames)
    anna.reload()
    picture = anna.locator(FRAMES).first
    expect(picture).to_have_js_property("naturalWidth", 160)

    ben.goto(f"/result?id={identifier}")
    expect(ben.get_by_role("heading", name="This clip is not here")).to_be_visible()
    ben.get_by_role("link", name="Library").click()
    expect(ben.get_by_text("There are no clips yet")).to_be_visible()
    for address in (
        clip,
        frame_route(identifier, 0),
        "/clips/export",
        f"/clips/export?ids={identifier}",
    ):
        assert status(ben.context, address) == 404, address


def test_signing_out_ends_every_tab_and_every_copy_of_the_cookie(
    browser: Browser, guarded: RunningApp, anna: Page
) -> None:
    tab = anna.context.new_page()
    tab.goto("/about")
    expect(tab.get_by_role("heading", name="About")).to_be_visible()
    with person(browser, guarded) as thief:
        thief.add_cookies(anna.context.cookies())  # type: ignore[arg-type]
        for context in (anna.context, thief):
            assert status(context, "/clips/nobody/clip") == 404
        anna.get_by_role("button", name="Sign out").click()
        anna.get_by_role("button", name="End session").click()
        expect_sign_in(anna)
        for context in (anna.context, thief):
            assert status(context, "/clips/nobody/clip") == 401
        stolen = thief.new_page()
        stolen.goto("/library")
        expect_sign_in(stolen)
    # By itself, within seconds, or when something is pressed there.
    expect_sign_in(tab)


def test_no_secret_is_in_the_log(guarded: RunningApp, anna: Page) -> None:
    log = (guarded.data.parent / "app.log").read_text()
    assert "people sign in" in log
    for secret in (COOKIE_SECRET, CLIENT_SECRET, "_streamlit_user", "Anna", "code="):
        assert secret not in log, secret
