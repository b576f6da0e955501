"""One app and one browser for all tests; a session of its own for each."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.driving import RunningApp, running_app, running_browser
from tests.browser.steps import PATIENCE_MS, expect_answer, expect_finished, start_sample
from tests.launching import Launched, wait_until
from ui.jobs.store import JobStore


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


@pytest.fixture(scope="session")
def finished(browser: Browser, app: RunningApp) -> dict[str, str]:
    """Two samples of which everything is known: title -> address of the result's page."""
    context = browser.new_context(base_url=app.url)
    addresses = {}
    for sample, emotion in {"Portrait": "joy", "Title cards": "sadness"}.items():
        page = context.new_page()
        page.goto("/")
        start_sample(page, sample)
        expect_answer(page, emotion)
        expect_finished(page)
        addresses[sample] = page.url
    context.close()
    return addresses


@pytest.fixture
def page(browser: Browser, app: RunningApp) -> Iterator[Page]:
    """A tab of a person who has never been here; relative addresses are the app's.

    What was not waited for is ended, so that the next test has the server for itself.
    """
    context = browser.new_context(base_url=app.url)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()
    store = JobStore(app.data)
    left = [job.id for job in store.list_jobs() if not job.state.is_over]
    for identifier in left:
        store.request_cancel(identifier)
    wait_until(lambda: all(store.get(identifier).state.is_over for identifier in left))
