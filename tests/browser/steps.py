"""Steps that several tests take."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

ANSWER_MS = 120_000
"""Two cores may have several clips at work."""

PATIENCE_MS = 60_000
"""How long is waited for something to be seen."""

expect.set_options(timeout=PATIENCE_MS)

FRAMES = "figure img"

WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
"""Headers that ask for one."""


def upload(page: Page, *clips: Path) -> None:
    """Gives files to the uploader, as dragging them in does."""
    page.locator('input[type="file"]').first.set_input_files(list(clips))


def start_sample(page: Page, title: str) -> None:
    """Presses the button of one of the samples."""
    page.get_by_role("button", name=f"Analyze “{title}”").click()


def start_link(page: Page, link: str) -> None:
    """Gives the address of a video on the first page, and waits for the clip's own."""
    page.goto("/")
    page.get_by_role("textbox", name=re.compile("Address of a video")).fill(link)
    page.get_by_role("button", name="Analyze link").click()
    expect_result_page(page)


def expect_result_page(page: Page) -> None:
    """Waits until a clip's own page is there."""
    expect(page).to_have_url(re.compile(r"/result\?id=[\w-]+$"), timeout=ANSWER_MS)


def expect_answer(page: Page, emotion: str) -> None:
    """Waits until the page says that the clip conveys the emotion."""
    expect_result_page(page)
    heading = page.get_by_role("heading", name=re.compile(rf"^{emotion}\b", re.IGNORECASE))
    expect(heading.first).to_be_visible(timeout=ANSWER_MS)


def expect_finished(page: Page) -> None:
    """Waits until nothing more will come."""
    expect(page.get_by_role("list", name="Progress")).to_have_count(0, timeout=ANSWER_MS)
    expect(page.get_by_role("button", name="Delete this clip")).to_be_visible(timeout=ANSWER_MS)
