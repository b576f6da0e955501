"""Takes the pictures of the app that the documentation shows: each page in light, dark, on a phone.

`make screenshots` runs it on a real server and a real browser.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.driving import running_app, running_browser
from tests.browser.steps import (
    PATIENCE_MS,
    expect_answer,
    expect_finished,
    expect_result_page,
    start_sample,
)
from tests.launching import PROJECT, launched

IMAGES = PROJECT / "docs" / "images"
SAMPLES = {"Rabbit": "bunny", "Title cards": "title_card", "Portrait": "portrait"}
MAIN = '[data-testid="stMain"]'
QUALITY = 88
"""Of WebP: small files whose colours are right."""
SMALLEST_HEIGHT_PX = 700


class Look(NamedTuple):
    """How a page is looked at."""

    name: str
    scheme: Literal["light", "dark"]
    width_px: int


LOOKS = (Look("light", "light", 1280), Look("dark", "dark", 1280), Look("phone", "light", 390))


def main() -> None:
    """Analyzes the sample clips, then takes all pictures."""
    IMAGES.mkdir(exist_ok=True)
    with (
        TemporaryDirectory() as folder,
        launched(Path(folder)) as server,
        running_app(Path(folder) / "app", server) as app,
        running_browser() as browser,
    ):
        clips = _analyze_samples(browser, app.url)
        both = f"{clips['portrait']},{clips['title_card']}"
        pages = {
            "analyze": "/",
            "result": f"/result?id={clips['portrait']}",
            "library": "/library",
            "compare": f"/compare?ids={both}",
            "service": "/service",
            "about": "/about",
        }
        for look in LOOKS:
            for name, path in pages.items():
                with _opened(browser, app.url, look) as page:
                    page.goto(path)
                    _take(page, look, f"app-{name}-{look.name}.webp")
            with _opened(browser, app.url, look) as page:
                _take_at_work(page, look)


def _analyze_samples(browser: Browser, url: str) -> dict[str, str]:
    """Name of a sample -> id of its finished result."""
    found = {}
    for title, name in SAMPLES.items():
        with _opened(browser, url, LOOKS[0]) as page:
            page.goto("/")
            start_sample(page, title)
            expect_result_page(page)
            expect_finished(page)
            found[name] = page.url.rpartition("=")[2]
    return found


def _take_at_work(page: Page, look: Look) -> None:
    """The page of a clip of which not all is known yet."""
    page.goto("/")
    start_sample(page, "Portrait")
    expect(page.locator(".v-face").first).to_be_visible()
    _take(page, look, f"app-working-{look.name}.webp")
    expect_answer(page, "joy")
    expect_finished(page)


@contextmanager
def _opened(browser: Browser, url: str, look: Look) -> Iterator[Page]:
    context = browser.new_context(
        base_url=url,
        color_scheme=look.scheme,
        viewport={"width": look.width_px, "height": SMALLEST_HEIGHT_PX},
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def _take(page: Page, look: Look, name: str) -> None:
    """The whole page, as tall as it is."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")
    height = page.locator(MAIN).evaluate("(element) => element.scrollHeight")
    page.set_viewport_size({"width": look.width_px, "height": max(int(height), SMALLEST_HEIGHT_PX)})
    target = IMAGES / name
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").save(target, quality=QUALITY, method=6)
    print(f"screenshots: {target.relative_to(PROJECT)}, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
