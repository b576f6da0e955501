"""The app behind the real gateway, in a real browser that gives a name and a token."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driving import RunningApp, running_app
from tests.browser.steps import FRAMES, PATIENCE_MS, WEBSOCKET, expect_answer, upload
from tests.gateway import TOKEN, TOKENS, USER, Gateway, running_gateway
from tests.launching import Launched, wait_until
from ui.screens.library.export import export_url

PATHS = ("/", "/library", "/result?id=1", "/clips/1/clip", "/_stcore/host-config", "/index.html")


@pytest.fixture(scope="module")
def app(server: Launched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """As compose.gateway.yaml runs it."""
    settings = {"VEMOCLAP_APP_GATEWAY": "1"}
    with running_app(tmp_path_factory.mktemp("app"), server, settings) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    server: Launched, app: RunningApp, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    address = app.url.removeprefix("http://").replace("localhost", "127.0.0.1")
    with running_gateway(folder, server, address) as running:
        yield running


def page_of(browser: Browser, gateway: Gateway, user: str) -> Page:
    """A tab of somebody with a token."""
    context = browser.new_context(
        base_url=f"https://{gateway.address}",
        http_credentials={"username": user, "password": TOKENS[user]},
        ignore_https_errors=True,  # The authority is the test's own.
    )
    context.set_default_timeout(PATIENCE_MS)
    return context.new_page()


def test_without_a_token_nothing_but_health_answers(gateway: Gateway) -> None:
    for token in (None, "another"):
        assert gateway.get("/_stcore/health", token) == (200, "ok")
        assert {gateway.get(path, token)[0] for path in PATHS} == {401}
        assert gateway.get("/_stcore/stream", token, WEBSOCKET)[0] == 401


def test_an_export_may_name_three_thousand_clips(gateway: Gateway) -> None:
    path = export_url([f"{number:016}" for number in range(3000)])
    assert gateway.get(path, TOKEN) == (404, "none of these clips is there any more")


def test_with_a_token_the_app_works(
    browser: Browser, gateway: Gateway, app: RunningApp, samples: Path
) -> None:
    page = page_of(browser, gateway, USER)
    page.goto("/")
    # Pages come over the WebSocket, uploads and frames by requests of their own.
    upload(page, samples / "title_card.mp4")
    expect_answer(page, "sadness")
    frame = page.locator(FRAMES).first
    expect(frame).to_be_visible()
    expect(frame).not_to_have_js_property("naturalWidth", 0)
    (identifier,) = re.findall(r"id=([\w-]+)$", page.url)
    address = page.url
    page.context.close()
    # Programs and pages have one library for a token, and nobody else has it.
    for user, token in TOKENS.items():
        listed = json.loads(gateway.get("/api/v1/clips", token)[1])["clips"]
        assert [clip["id"] for clip in listed] == ([identifier] if user == USER else [])
    for path in (f"/clips/{identifier}/clip", "/clips/export"):
        assert gateway.get(path, TOKENS["bob"])[0] == 404
    other = page_of(browser, gateway, "bob")
    other.goto(address)
    expect(other.get_by_text("This clip is not here")).to_be_visible()
    other.context.close()
    # A WebSocket is logged when it has ended.
    opened = '"client":"alice","route":"app","status":101'
    wait_until(lambda: opened in gateway.logs())
    assert '"status":429' not in gateway.logs(), "a page is more than one token may ask for at once"
    written = gateway.logs() + (app.data.parent / "app.log").read_text()
    for secret in (TOKEN, identifier, "title_card"):
        assert secret not in written
