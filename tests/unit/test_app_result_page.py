"""One clip's page: each state of its job, what a choice does, and what is deleted."""

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from streamlit.testing.v1 import AppTest

from tests.unit.app_fixture import (
    done_job,
    failed_job,
    make_result,
    open_page,
    press,
    waiting_job,
    working_job,
)
from ui.application import Application
from ui.jobs import media
from ui.jobs.job import Job, Source, SourceKind, State
from ui.jobs.store import JobNotFoundError
from ui.screens.result.sections import NOTE
from vemoclap_client.analysis import Head
from vemoclap_client.contract import FRAME_COUNT


def texts(page: AppTest) -> str:
    """All that the page says, HTML included."""
    assert not page.exception
    elements = [*page.get("html"), *page.get("text"), *page.get("caption"), *page.get("subheader")]
    elements += [*page.get("error"), *page.get("markdown")]
    return "\n".join(getattr(e, "body", None) or getattr(e, "value", "") for e in elements)


def with_clip(app: Application) -> Source:
    app.settings.samples.mkdir()
    clip = app.settings.samples / "sample.mp4"
    clip.write_bytes(b"not looked at")
    return Source(SourceKind.SAMPLE, str(clip))


def write_frames(app: Application, job: Job) -> None:
    media.write_frames(app.store, job.id, np.zeros((FRAME_COUNT, 8, 8, 3), np.uint8))


@pytest.mark.parametrize("query", [{}, {"id": "nobody"}, {"id": "../../etc"}])
def test_a_clip_that_is_not_there(app: Application, query: dict[str, str]) -> None:
    assert "This clip is not here" in texts(open_page("result", **query))


def test_a_clip_that_waits_can_be_cancelled(app: Application) -> None:
    job = waiting_job(app.store)
    page = open_page("result", id=job.id)
    assert "This clip waits its turn" in texts(page)
    press(page, "Cancel")
    assert app.store.get(job.id).state is State.CANCELLED
    assert "Cancelled" in texts(page)


def test_evidence_is_shown_as_soon_as_it_is_known(app: Application) -> None:
    job = working_job(app.store)
    page = open_page("result", id=job.id)
    shown = texts(page)
    assert "Looking and listening" in shown
    assert "Speech" in shown
    assert "not known yet" in shown
    assert "/frames/" not in shown
    write_frames(app, job)
    said = make_result("clip.mp4", "joy").speech
    app.store.change(job.id, lambda job: replace(job, evidence=replace(job.evidence, speech=said)))
    page.run()
    assert "It was the worst of times." in texts(page)
    assert texts(page).count("<img ") == FRAME_COUNT


def test_a_result_is_shown_while_the_timeline_grows(app: Application) -> None:
    job = done_job(app.store)
    assert job.timeline is not None
    growing = replace(job.timeline, windows=job.timeline.windows[:1])
    app.store.change(job.id, lambda job: replace(job, state=State.WORKING, timeline=growing))
    shown = texts(open_page("result", id=job.id))
    assert "Following the emotions over time" in shown
    assert "Joy" in shown


def test_a_result(app: Application) -> None:
    job = done_job(app.store, source=with_clip(app))
    write_frames(app, job)
    page = open_page("result", id=job.id)
    shown = texts(page)
    for part in ("Joy", "75 %", "zero-shot", "Emotions over time", "What spoke for what", NOTE):
        assert part in shown
    assert shown.count("<img ") == FRAME_COUNT
    videos = [element.proto for element in page.get("video")]
    assert [video.url.endswith(f"/clips/{job.id}/clip") for video in videos] == [True]
    assert videos[0].alt == "The clip done.mp4"
    charts = page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart")
    assert all(chart.proto.alt for chart in charts)
    assert "Cancel" not in [button.label for button in page.button]


def test_random_weights_are_warned_of(app: Application) -> None:
    job = done_job(app.store)
    result = replace(make_result("clip.mp4", "joy"), head=Head("random", None))
    app.store.change(job.id, lambda job: replace(job, result=result))
    page = open_page("result", id=job.id)
    assert "These numbers mean nothing" in page.error[0].value


def test_a_moment_that_is_chosen_is_played(app: Application) -> None:
    job = done_job(app.store, source=with_clip(app))
    page = open_page("result", id=job.id)
    page.pills[0].set_value(1).run()
    video = page.get("video")[0].proto
    assert (video.start_time, video.autoplay) == (4, True)
    page.pills[0].set_value(None).run()
    again = page.get("video")[0].proto
    assert again.start_time == 4
    assert again.url != video.url


def test_a_failure_says_what_happened_and_what_to_do(app: Application) -> None:
    job = failed_job(app.store)
    shown = texts(open_page("result", id=job.id))
    assert "failed.mp4 is not a video" in shown
    assert "Give another file." in shown


def test_deletion_is_confirmed_and_final(app: Application) -> None:
    job = done_job(app.store)
    write_frames(app, job)
    page = open_page("result", id=job.id)
    press(page, "Delete it for good")
    with pytest.raises(JobNotFoundError):
        app.store.get(job.id)
    assert not Path(app.store.folder(job.id)).exists()
