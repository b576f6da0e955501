"""The app in a test's own folder: real settings and store, a runner that only counts, made-up jobs.

The fixture `app` (tests/unit/conftest.py) puts it in place of the process's app.
"""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

import ui.application
from tests.timelines import make_timeline, make_window, probabilities
from ui.application import Application
from ui.jobs.job import (
    STAGES,
    Failure,
    Job,
    KnownEvidence,
    Source,
    SourceKind,
    Stage,
    StageState,
    State,
)
from ui.jobs.runner import Runner
from ui.jobs.store import JobStore
from ui.settings import Settings
from ui.sign_in.ended import EndedSessions
from ui.sign_in.identity import SignIn
from vemoclap_client.analysis import (
    AudioEvent,
    Head,
    Speech,
    SpeechSegment,
)
from vemoclap_client.contract import EMOTIONS, FRAME_COUNT, MODALITIES
from vemoclap_client.result import EmotionResult, TimedFace, TimedScreenText, TimedTextLine

APP = Path(ui.application.__file__).parent / "app.py"
NO_SERVER = "127.0.0.1:1"
"""Nothing listens there: the connection is refused at once."""

ADDRESS = "http://localhost:8501"
"""Of the app, as its pages know it."""

PAGE_TIMEOUT_S = 30
EXPRESSIONS = {"angry": 0.1, "happy": 0.8, "neutral": 0.1}
SENTIMENT = {"negative": 0.1, "neutral": 0.2, "positive": 0.7}
UPLOAD = Source(SourceKind.UPLOAD, "clip.mp4")


class RecordingRunner(Runner):
    """Works on nothing; `wakes` counts how often it was told to look for a job."""

    def __init__(self, settings: Settings, store: JobStore) -> None:
        super().__init__(settings, store)
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += 1


def fake_application(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Application:
    """An app in `folder`, which ui/app.py hands to its pages."""
    settings = Settings(data=folder / "data", samples=folder / "samples", server_url=NO_SERVER)
    store = JobStore(settings.data)
    app = Application(settings, store, RecordingRunner(settings, store))
    monkeypatch.setattr(ui.application, "application", lambda: app)
    fake_sign_in(app, monkeypatch)
    return app


def fake_sign_in(
    app: Application, monkeypatch: pytest.MonkeyPatch, providers: tuple[str, ...] = ()
) -> SignIn:
    """Has ui/app.py ask people to sign in with these providers."""
    ended = EndedSessions(app.settings.data)
    settings = app.settings
    sign_in = SignIn(providers, ADDRESS, settings.session_hours, ended, settings.is_behind_gateway)
    monkeypatch.setattr(ui.application, "sign_in", lambda: sign_in)
    return sign_in


def open_page(page: str = "analyze", user: dict[str, Any] | None = None, **query: str) -> AppTest:
    """The page as a browser gets it, e.g. open_page("result", id=job.id).

    Args:
        user: the claims of the person who is signed in.
    """
    opened = AppTest.from_file(str(APP), default_timeout=PAGE_TIMEOUT_S)
    opened.user = user or {}
    opened.query_params.update(query)
    opened.context = {"url": f"{ADDRESS}/{page}"}
    return switch(opened, page)


def switch(opened: AppTest, page: str = "analyze") -> AppTest:
    """Goes to another page; AppTest.switch_page knows only pages that are files."""
    opened._page_hash = calc_hash("" if page == "analyze" else page)
    return opened.run()


def press(page: AppTest, label: str) -> AppTest:
    """Presses the button of that label."""
    return next(button for button in page.button if button.label == label).click().run()


def pressed(page: AppTest, label: str, *further: WidgetState) -> WidgetStates:
    """What a browser that shows this page sends when the button whose label begins so is pressed.

    Args:
        further: the states of widgets that AppTest does not know.
    """
    next(button for button in page.button if button.label.startswith(label)).click()
    states = page._tree.get_widget_states()
    for state in list(states.widgets):
        # Nothing is sent of a button that was not pressed.
        if state.WhichOneof("value") == "trigger_value" and not state.trigger_value:
            states.widgets.remove(state)
    states.widgets.extend(further)
    return states


def press_twice(page: AppTest, label: str) -> AppTest:
    """Presses the button whose label begins so, and again before the browser has the answer."""
    states, page_hash = pressed(page, label), page._page_hash
    page._run(states)
    page._page_hash = page_hash
    return page._run(states)


def waiting_job(store: JobStore, name: str = "waiting.mp4", source: Source = UPLOAD) -> Job:
    """A job that nobody works on yet."""
    return store.create(name, source, STAGES[1:])


def working_job(store: JobStore, name: str = "working.mp4", source: Source = UPLOAD) -> Job:
    """A job with its clip decoded and the sound's events known."""
    stages = dict.fromkeys(STAGES[1:], Stage(StageState.WORKING)) | {
        "decode": Stage(StageState.DONE, 1.0),
        "audio": Stage(StageState.DONE, 1.0),
    }
    evidence = KnownEvidence(
        duration_s=8.0,
        frame_times_s=tuple(i / 2 for i in range(FRAME_COUNT)),
        audio_events=(AudioEvent("Speech", 0.8),),
    )
    job = waiting_job(store, name, source)
    return store.change(
        job.id,
        lambda job: replace(job, state=State.WORKING, stages=stages, evidence=evidence),
    )


def failed_job(store: JobStore, name: str = "failed.mp4", source: Source = UPLOAD) -> Job:
    """A job that ended with an error."""
    failure = Failure("NotAVideoError", f"{name} is not a video", "Give another file.")
    job = waiting_job(store, name, source)
    return store.change(job.id, lambda job: replace(job, state=State.FAILED, failure=failure))


def done_job(
    store: JobStore, name: str = "done.mp4", emotion: str = "joy", source: Source = UPLOAD
) -> Job:
    """A job with its result, in which `emotion` is most probable, and a timeline of two windows."""
    result = make_result(name, emotion)
    windows = [
        make_window(start, start + 8.0, probabilities(emotion, 0.75)) for start in (0.0, 4.0)
    ]
    stages = dict.fromkeys(STAGES[1:], Stage(StageState.DONE, 1.0)) | {
        "text": Stage(StageState.ABSENT, None, result.absent["text"])
    }
    job = waiting_job(store, name, source)
    return store.change(
        job.id,
        lambda job: replace(
            job,
            state=State.DONE,
            stages=stages,
            result=result,
            timeline=make_timeline(windows, 4.0),
        ),
    )


def make_result(
    video: str, emotion: str, screen_text: TimedScreenText | None = None
) -> EmotionResult:
    """A result in which `emotion` has 0.75, a face speaks for it and two sentences are said."""
    contributions = {modality: dict.fromkeys(EMOTIONS, 0.0) for modality in MODALITIES}
    contributions["face"][emotion] = 0.5
    contributions["speech"][emotion] = -0.1
    return EmotionResult(
        video=video,
        duration_s=12.0,
        frame_times_s=tuple(12.0 * i / FRAME_COUNT for i in range(FRAME_COUNT)),
        profile="embedded",
        head=Head("zero-shot", None),
        probabilities=probabilities(emotion, 0.75),
        contributions=contributions,
        faces=(TimedFace(2, (0.25, 0.25, 0.5, 0.75), 0.98, EXPRESSIONS, 1.5),),
        speech=Speech(
            text="It was the best of times. It was the worst of times.",
            language="en",
            language_probability=0.99,
            segments=(
                SpeechSegment(0.5, 3.0, "It was the best of times."),
                SpeechSegment(3.0, 6.0, "It was the worst of times."),
            ),
            sentiment=SENTIMENT,
        ),
        screen_text=screen_text,
        audio_events=(AudioEvent("Speech", 0.8), AudioEvent("Music", 0.2)),
        absent={} if screen_text else {"text": "no text was found in the 16 frames"},
        timings_ms={"decode": 400.0, "server": 2500.0},
        warnings=(),
    )


def screen_text(text: str = "The end") -> TimedScreenText:
    """One line of text in the frame before the last."""
    line = TimedTextLine(14, (0.3, 0.8, 0.7, 0.9), text, 0.95, 10.5)
    return TimedScreenText(text, "en", (line,), SENTIMENT)
