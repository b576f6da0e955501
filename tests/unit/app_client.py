"""A made-up client of the server, whose steps a test holds up; a runner that works with it."""

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from tests.launching import wait_until
from tests.timelines import EVEN, make_timeline, make_window
from tests.unit.app_fixture import make_result
from ui.application import Application
from ui.jobs.job import Job, Source, SourceKind
from ui.jobs.runner import Runner
from ui.jobs.store import JobStore
from ui.owners import EVERYONE
from ui.settings import Settings
from vemoclap_client import EmotionClient
from vemoclap_client.contract import EXPRESSIONS, FRAME_COUNT
from vemoclap_client.errors import ServerLostError
from vemoclap_client.media.video import Decoded, DecodedClip
from vemoclap_client.result import EmotionResult
from vemoclap_client.stream import Event, Evidence
from vemoclap_client.timeline import OnWindow, Timeline

DURATION_S = 40.0
"""Its windows last 5 s."""

TIMEOUT_S = 10.0
VIDEO = b"the bytes of a video"


def make_clip() -> DecodedClip:
    """A decoded clip without sound, of dark frames."""
    times_s = tuple(i * DURATION_S / FRAME_COUNT for i in range(FRAME_COUNT))
    frames = np.zeros((FRAME_COUNT, 90, 160, 3), np.uint8)
    return DecodedClip(
        frames, times_s, np.zeros(0, np.float32), "no sound", DURATION_S, 160, 90, ()
    )


def make_answer(video: str) -> EmotionResult:
    """The result for that clip."""
    clip, result = make_clip(), make_result(video, "joy")
    faces = tuple(
        replace(face, expressions=dict.fromkeys(EXPRESSIONS, 1 / 7)) for face in result.faces
    )
    times_s = clip.frame_times_s
    return replace(result, duration_s=DURATION_S, frame_times_s=times_s, faces=faces)


@dataclass
class FakeServer:
    """What all clients of a test share.

    Attributes:
        reached: names of the steps that were begun: decoded, evidence, result, windows.
        hold: the step at which clients wait until they are cancelled or closed, or `go` is set.
        fails: step -> the error that is raised there.
        windows: how many windows a timeline has.
    """

    reached: list[str] = field(default_factory=list)
    hold: str | None = None
    go: threading.Event = field(default_factory=threading.Event)
    fails: dict[str, BaseException] = field(default_factory=dict)
    windows: int = 3
    paths: list[Path] = field(default_factory=list)
    after: Callable[[str], None] = lambda step: None

    def connect(self, url: str) -> EmotionClient:
        return FakeClient(url, self)


class FakeClient(EmotionClient):
    """Answers without a server."""

    def __init__(self, url: str, server: FakeServer) -> None:
        super().__init__(url)
        self._server = server
        self._closed = threading.Event()

    def close(self) -> None:
        self._closed.set()
        super().close()

    def stream(
        self,
        video: str | Path,
        *,
        caption: bool = False,
        cancel: threading.Event | None = None,
    ) -> Generator[Event]:
        assert cancel is not None
        self._server.paths.append(Path(video))
        result = make_answer(str(video))
        self._step("decoded", cancel, CancelledError())
        yield Decoded(make_clip(), 10.0)
        self._step("evidence", cancel, CancelledError())
        yield Evidence("face", faces=result.faces)
        yield Evidence("text", absent=result.absent["text"])
        self._step("result", cancel, CancelledError())
        yield result

    def timeline(
        self,
        video: str | Path,
        window_s: float = 8.0,
        hop_s: float = 4.0,
        *,
        on_window: OnWindow | None = None,
    ) -> Timeline:
        assert on_window is not None
        count = self._server.windows
        windows = [make_window(i * hop_s, i * hop_s + window_s, EVEN) for i in range(count)]
        for window in windows[:-1]:
            on_window(window, count)
        self._step("windows", self._closed, ServerLostError("the connection was closed"))
        on_window(windows[-1], count)
        return replace(make_timeline(windows, hop_s), video=str(video))

    def _step(self, name: str, end: threading.Event, interrupted: BaseException) -> None:
        server = self._server
        server.reached.append(name)
        server.after(name)
        if name == server.hold:
            wait_until(lambda: end.is_set() or server.go.is_set(), TIMEOUT_S)
        if end.is_set():
            raise interrupted
        if name in server.fails:
            raise server.fails[name]


@contextmanager
def running(settings: Settings, store: JobStore, server: FakeServer) -> Iterator[Application]:
    """An app whose runner works with the made-up server, as long as the block lasts."""
    runner = Runner(settings, store, server.connect)
    runner.start()
    try:
        yield Application(settings, store, runner)
    finally:
        assert runner.stop(TIMEOUT_S)


def upload(app: Application, name: str = "holiday.mp4") -> Job:
    """A job for a file that was just received."""
    path = app.store.uploads / "0123456789abcdef0123456789abcdef"
    path.write_bytes(VIDEO)
    return app.library(EVERYONE).add(name, Source(SourceKind.UPLOAD, str(path)))


def wait_for_end(store: JobStore, identifier: str) -> Job:
    """The job when it is over."""
    wait_until(lambda: store.get(identifier).state.is_over, TIMEOUT_S)
    return store.get(identifier)
