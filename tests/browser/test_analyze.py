"""What a person does first: gives a clip, watches, gets an answer."""

from datetime import datetime, timedelta
from pathlib import Path

from msgspec.structs import replace
from playwright.sync_api import Browser, Page, expect

from tests.browser.driving import RunningApp
from tests.browser.steps import (
    FRAMES,
    expect_answer,
    expect_result_page,
    start_link,
    start_sample,
    upload,
)
from tests.clips import repeat
from tests.link_server import serve
from ui.jobs.job import Job
from ui.jobs.store import JobStore
from vemoclap_client import EmotionClient


def test_an_uploaded_clip_is_seen_first_then_what_is_found_then_the_answer(
    page: Page, samples: Path, client: EmotionClient, tmp_path: Path
) -> None:
    # Long, since the page looks every half second: its speech takes seconds longer than its faces.
    clip = repeat(samples / "portrait.mp4", tmp_path / "long.mp4", 3)
    warm = client.classify(samples / "portrait.mp4")
    page.goto("/")
    expect(page.get_by_role("heading", name="Upload a video")).to_be_visible()
    # Written down in the page itself, so that nothing that is seen briefly is missed.
    page.evaluate(
        """() => {
            window.seen = [];
            const note = (what) => window.seen.includes(what) || window.seen.push(what);
            new MutationObserver(() => {
                if (document.querySelector('figure img')) note('frames');
                if (document.querySelector('.v-face')) note('faces');
                if (document.querySelector('h2.v-answer')) note('answer');
            }).observe(document.body, {childList: true, subtree: true});
        }"""
    )
    upload(page, clip)
    expect_answer(page, str(warm.emotion))
    seen = page.evaluate("() => window.seen")
    assert seen.index("frames") < seen.index("faces") < seen.index("answer"), seen
    expect(page.get_by_text("Head: ").first).to_contain_text("zero-shot")
    expect(page.locator(FRAMES)).to_have_count(16)
    expect(page.get_by_text("It was the best of times").first).to_be_visible()
    expect(page.locator("video")).to_have_count(1)


def test_a_link_is_fetched_and_answered(page: Page, samples: Path) -> None:
    content = (samples / "title_card.mp4").read_bytes()
    with serve({"a%20film.mp4": ("video/mp4", content)}) as site:
        start_link(page, f"{site.address}/a%20film.mp4")
        expect_answer(page, "sadness")
    expect(page.get_by_text("from a link")).to_be_visible()


def test_a_link_that_leads_nowhere_says_what_else_can_be_done(page: Page) -> None:
    with serve({}) as site:
        start_link(page, f"{site.address}/missing.mp4")
        expect(page.get_by_role("heading", name="could not be analyzed")).to_be_visible()
    expect(page.get_by_text("upload").first).to_be_visible()
    expect(page.get_by_role("link", name="Try another clip")).to_be_visible()


def test_work_is_cancelled(page: Page, app: RunningApp) -> None:
    store = JobStore(app.data)
    page.clock.install()
    with serve({}) as site:
        start_link(page, f"{site.address}/stalled.mp4")
        expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()
        # The page no longer asks by itself: what becomes known, it learns with the press.
        page.clock.pause_at(datetime.now() + timedelta(seconds=5))
        store.change(page.url.rpartition("=")[2], knows_frame_times)
        page.get_by_role("button", name="Cancel", exact=True).click()
        page.clock.resume()
        expect(page.get_by_role("heading", name="Cancelled")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_a_reload_in_the_middle_finds_the_work_again(page: Page, samples: Path) -> None:
    page.goto("/")
    upload(page, samples / "portrait.mp4")
    expect_result_page(page)
    expect(page.get_by_role("list", name="Progress")).to_be_visible()
    page.reload()
    expect_answer(page, "joy")


def test_a_second_tab_shows_the_same_work(page: Page, samples: Path) -> None:
    page.goto("/")
    start_sample(page, "Title cards")
    expect_result_page(page)
    other = page.context.new_page()
    other.goto(page.url)
    expect_answer(other, "sadness")
    expect_answer(page, "sadness")


def test_two_people_at_once_each_get_their_own_answer(
    browser: Browser, app: RunningApp, samples: Path
) -> None:
    people = [browser.new_context(base_url=app.url) for _ in range(2)]
    pages = [person.new_page() for person in people]
    clips = {"portrait.mp4": "joy", "title_card.mp4": "sadness"}
    for tab, clip in zip(pages, clips, strict=True):
        tab.goto("/")
        upload(tab, samples / clip)
    for tab, (clip, emotion) in zip(pages, clips.items(), strict=True):
        expect_answer(tab, emotion)
        expect(tab.get_by_role("heading", name=clip)).to_be_visible()
    for person in people:
        person.close()


def knows_frame_times(job: Job) -> Job:
    """The job, one step further."""
    return replace(job, evidence=replace(job.evidence, frame_times_s=(0.0,)))
