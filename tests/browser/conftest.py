"""One app and one browser for all tests; a session of its own for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.driving import RunningApp, running_app, running_browser
from tests.browser.steps import PATIENCE_MS
from tests.launching import Launched


@pytest.fixture(scope="session")
def app(server: Launched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The app on the real server."""
    with running_app(tmp_path_factory.mktemp("app"), server) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with running_browser() as running:
        yield running


@pytest.fixture
def page(browser: Browser, app: RunningApp, tmp_path: Path) -> Iterator[Page]:
    """A tab of a person who has never been here; relative addresses are the app's."""
    context = browser.new_context(base_url=app.url)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()
