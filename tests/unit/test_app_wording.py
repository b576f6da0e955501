"""Facts in words, links that are objected to, names that are shown as they are."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.app_fixture import done_job, failed_job, waiting_job, working_job
from ui.application import Application
from ui.jobs.job import Job
from ui.owners import EVERYONE, Owner
from ui.parts.limits import keeping, length_limit, upload_label
from ui.parts.markdown import plain
from ui.screens.analyze.links import LETTERS_MAX, objection_to
from ui.screens.analyze.page import outcome
from ui.settings import Settings


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("", "no link"),
        ("youtube.com/watch?v=1", "https://"),
        ("ftp://example.org/clip.mp4", "https://"),
        ("https://", "names no site"),
        ("https:///clip.mp4", "names no site"),
        ("https://example.org/a clip.mp4", "space"),
        ("https://a:b@example.org/clip.mp4", "password"),
        ("https://[example.org/clip.mp4", "not a web address"),
        ("https://example.org/" + LETTERS_MAX * "x", "longer than"),
    ],
)
def test_objections_to_links_say_why(link: str, reason: str) -> None:
    objection = objection_to(link)

    assert objection is not None
    assert reason in objection
    assert len(objection) < 300


@pytest.mark.parametrize(
    "link",
    ["http://example.org", "HTTPS://EXAMPLE.ORG/clip", "https://[::1]:8000/c.mp4", "http://ü.org"],
)
def test_web_addresses_are_not_objected_to(link: str) -> None:
    assert objection_to(link) is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (waiting_job, "waits its turn"),
        (working_job, "being analyzed"),
        (failed_job, "could not be analyzed"),
        (done_job, "joy, 75 %"),
    ],
)
def test_outcomes_in_words(app: Application, make: Any, words: str) -> None:
    job: Job = make(app.store)

    assert outcome(job) == words


def test_limits_in_words() -> None:
    settings = Settings(Path(), upload_limit_mb=500, duration_limit_s=30, keep_days=1)

    assert "up to 500 MB each" in upload_label(settings)
    assert length_limit(settings) == "30 seconds"
    assert "for 1 day. Everyone" in keeping(settings, EVERYONE)
    assert "you alone" in keeping(settings, Owner.from_token("anna"))


def test_names_of_files_are_no_markdown() -> None:
    escaped = plain("**a** [b](http://c.org) $x$ :red[d]\n# e `f`")

    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)[*\[\]()$:#`]", escaped)
