"""One clip's page: files that open, moments that play, an address that finds it again."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as TooLateError

from tests.browser.driving import RunningApp
from tests.browser.steps import expect_answer, expect_finished, start_sample
from tests.launching import wait_until
from tests.schemas import check
from vemoclap_client.contract import EMOTIONS

TRY_MS = 10_000
"""From a click until the video plays; most of it is for a busy machine."""


@pytest.fixture
def address(finished: dict[str, str]) -> str:
    """Of a finished clip's page."""
    return finished["Portrait"]


def download(page: Page, label: str) -> Path:
    """Presses a download button; where the file then lies."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label).click()
    return waiting.value.path()


def test_every_file_opens(page: Page, address: str) -> None:
    page.goto(address)
    result = json.loads(download(page, "Result, JSON").read_text(encoding="utf-8"))
    check(result, "result")
    assert result["video"] == "portrait.mp4"
    timeline = json.loads(download(page, "Timeline, JSON").read_text(encoding="utf-8"))
    check(timeline, "timeline")
    rows = list(csv.DictReader(io.StringIO(download(page, "Timeline, CSV").read_text())))
    assert len(rows) == len(timeline["windows"]) > 1
    assert sum(float(rows[0][emotion]) for emotion in EMOTIONS) == pytest.approx(1, abs=1e-3)
    assert "-->" in download(page, "Subtitles, SRT").read_text()
    assert download(page, "Subtitles, WebVTT").read_text().startswith("WEBVTT")


def test_the_picture_can_be_pasted_into_a_paper(page: Page, address: str) -> None:
    page.goto(address)
    with Image.open(download(page, "Picture, PNG")) as picture:
        picture.load()
        assert picture.width >= 1000
        assert picture.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    drawing = ElementTree.parse(download(page, "Picture, SVG"))
    words = " ".join(drawing.getroot().itertext())
    for emotion in EMOTIONS:
        assert emotion in words.lower()


def test_a_moment_that_is_chosen_plays(page: Page, address: str) -> None:
    page.goto(address)
    moments = page.get_by_role("group", name="Play from").or_(
        page.get_by_role("radiogroup", name="Play from")
    )
    last = moments.get_by_role("radio").or_(moments.get_by_role("button")).last
    expect(last).to_be_visible()
    minutes, seconds = re.search(r"(\d+):(\d+)", last.inner_text()).groups()
    last.click()
    expected = int(minutes) * 60 + int(seconds)
    page.wait_for_function(
        "(start) => document.querySelector('video')?.currentTime >= start", arg=expected
    )


def test_a_click_into_the_timeline_plays(page: Page, address: str) -> None:
    page.goto(address)
    chart = page.locator(
        '[aria-label^="Emotions over time"] canvas, [aria-label^="Emotions over time"] svg'
    )
    expect(chart.first).to_be_visible()
    page.wait_for_function("() => document.querySelector('video')?.readyState >= 1")

    def plays_after_a_click() -> bool:
        box = chart.first.bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.4)
        plays = "() => document.querySelector('video')?.currentTime > 1"
        try:
            page.wait_for_function(plays, timeout=TRY_MS)
        except TooLateError:
            return False
        return True

    # A person, too, clicks again: a chart is drawn before it takes clicks, and anew when it grows.
    wait_until(plays_after_a_click)


def test_the_address_opens_the_result_for_someone_else(
    browser: Browser, app: RunningApp, address: str
) -> None:
    context = browser.new_context(base_url=app.url)
    page = context.new_page()
    page.goto(address)
    expect_answer(page, "joy")
    expect(page.get_by_text(address)).to_be_visible()
    context.close()


def test_a_clip_is_deleted_for_good(page: Page, app: RunningApp) -> None:
    page.goto("/")
    start_sample(page, "Title cards")
    expect_answer(page, "sadness")
    expect_finished(page)
    address = page.url
    identifier = address.rpartition("=")[2]
    assert (app.data / "jobs" / identifier).is_dir()
    page.get_by_role("button", name="Delete this clip").click()
    page.get_by_role("button", name="Delete it for good").click()
    expect(page).to_have_url(re.compile(r"/(analyze)?$"))
    assert not (app.data / "jobs" / identifier).exists()
    page.goto(address)
    expect(page.get_by_role("heading", name="This clip is not here")).to_be_visible()
