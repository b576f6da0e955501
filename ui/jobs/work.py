"""The work on one job: fetch, decode, each modality, fusion, timeline."""

import logging
import shutil
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from ui.jobs import evidence, media
from ui.jobs.advice import is_expected, without_paths
from ui.jobs.cancelling import Cancellation
from ui.jobs.job import Job, SourceKind, Stage
from ui.jobs.record import JobRecord, absent, done, working
from ui.jobs.store import JobNotFoundError, JobStore
from ui.jobs.windows import window_lengths
from ui.settings import BYTES_PER_MB, Settings
from vemoclap_client import EmotionClient
from vemoclap_client.contract import MODALITIES
from vemoclap_client.errors import VideoNotFoundError
from vemoclap_client.fetch import FetchLimits, FetchProgress, fetch
from vemoclap_client.media.video import Decoded, DecodedClip
from vemoclap_client.media.windows import DecodedWindow
from vemoclap_client.result import EmotionResult
from vemoclap_client.stream import Evidence
from vemoclap_client.timeline import Timeline, Window, make_window

LOG = logging.getLogger(__name__)
REPORT_EVERY_S = 0.5

Connect = Callable[[str], EmotionClient]
"""Makes a client of the server at an address."""


class JobWork:
    """Works on one job, from its source to its timeline."""

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        job: Job,
        cancellation: Cancellation,
        connect: Connect,
    ) -> None:
        """Nothing is done before `run`."""
        self._settings = settings
        self._store = store
        self._job = job
        self._cancellation = cancellation
        self._connect = connect
        self._record = JobRecord(store, job.id)
        self._name = job.name
        self._reported = 0.0
        self._to_follow: tuple[Path, Timeline] | None = None

    def answer(self) -> None:
        """Brings the job to its result; a short clip's timeline is that too.

        Raises:
            CancelledError: it was asked to end.
            JobNotFoundError: it was deleted meanwhile.
            VemoclapError: what went wrong with the clip, the link or the server.
            ClipNotAllowedError: the clip is not where it may be.
        """
        self._cancellation.check()
        clip_path = self._bring_clip()
        with self._connect(self._settings.server_url) as client:
            clip, result = self._classify(client, clip_path)
        window_s, hop_s = window_lengths(result.duration_s)
        growing = Timeline(
            video=self._name,
            duration_s=result.duration_s,
            window_s=window_s,
            hop_s=hop_s,
            windows=(),
            warnings=result.warnings,
        )
        if result.duration_s <= window_s:
            # One window is the whole clip, which has been classified.
            whole = DecodedWindow(0, 1, 0.0, clip.duration_s, clip.duration_s, clip)
            self._tell_windows(structs.replace(growing, windows=(make_window(whole, result),)), 1)
        else:
            self._to_follow = clip_path, growing

    def follow(self, give_way: Callable[[Cancellation], None]) -> None:
        """Brings the job, which has its result, to its end.

        Args:
            give_way: is called before each window, and returns when it may be worked on.

        Raises:
            CancelledError: it was asked to end.
            JobNotFoundError: it was deleted meanwhile.
        """
        self._cancellation.check()
        if self._to_follow is not None:
            try:
                self._classify_windows(*self._to_follow, give_way)
            except (CancelledError, JobNotFoundError):
                raise
            except Exception as error:
                # The result is there and stays: a timeline is only more of it.
                if not is_expected(error):
                    LOG.exception("the timeline of job %s failed", self._job.id)
                self._end_timeline(error)
        self._record.finish()

    def explain(self, error: BaseException) -> str:
        """The error's message as people may see it: the clip has its name, not its path."""
        folders = [self._store.data, self._settings.samples]
        if self._settings.folder is not None:
            folders.append(self._settings.folder)
        clip_path = media.clip_path(self._store, self._job)
        return without_paths(str(error), clip_path, folders, self._name)

    def _bring_clip(self) -> Path:
        path = media.clip_path(self._store, self._job)
        if path is None and self._job.source.kind is SourceKind.LINK:
            path = self._fetch()
        if path is None:
            raise VideoNotFoundError(f"{self._name} is no longer there")
        media.check_allowed(self._settings, self._job.source, path)
        fetched = {"fetch": done()} if "fetch" in self._job.stages else {}
        self._record.stages({**fetched, "decode": working()})
        return path

    def _fetch(self) -> Path:
        limits = FetchLimits(
            size_bytes=self._settings.upload_limit_bytes,
            duration_s=float(self._settings.duration_limit_s),
        )
        self._record.stages({"fetch": working()})
        folder = self._store.folder(self._job.id)
        unfinished = folder / "fetching"
        # What a killed app left there.
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        link = self._job.source.location
        with fetch(link, limits, self._on_progress, unfinished) as fetched:
            path = fetched.path.rename(folder / media.clip_name(fetched.path.name))
            self._name = fetched.title.strip() or self._name
        shutil.rmtree(unfinished, ignore_errors=True)
        self._record.edit(lambda job: replace(job, name=self._name))
        return path

    def _on_progress(self, progress: FetchProgress) -> None:
        self._cancellation.check()
        if time.monotonic() - self._reported >= REPORT_EVERY_S:
            self._reported = time.monotonic()
            self._record.stages({"fetch": _fetching(progress)})

    def _classify(self, client: EmotionClient, path: Path) -> tuple[DecodedClip, EmotionResult]:
        clip: DecodedClip | None = None
        events = client.stream(path, caption=True, cancel=self._cancellation.event)
        with closing(events):
            for event in events:
                self._cancellation.check()
                if isinstance(event, Decoded):
                    clip = event.clip
                    self._tell_clip(clip)
                elif isinstance(event, Evidence):
                    self._tell_modality(event)
                elif clip is not None:
                    return clip, self._tell_result(event)
        raise AssertionError("the stream ended without a result")

    def _tell_clip(self, clip: DecodedClip) -> None:
        media.write_frames(self._store, self._job.id, clip.frames)
        stages = {"decode": done(), **dict.fromkeys(MODALITIES, working())}
        self._record.stages(stages, **evidence.of_clip(clip))

    def _tell_modality(self, told: Evidence) -> None:
        stage = done() if told.absent is None else absent(told.absent)
        self._record.stages({told.modality: stage}, **evidence.of_modality(told))

    def _tell_result(self, result: EmotionResult) -> EmotionResult:
        # The client knows the clip by its path, which is nobody's business.
        result = structs.replace(result, video=self._name)
        stages: dict[str, Stage] = {name: done() for name in (*MODALITIES, "fusion")}
        stages |= {name: absent(reason) for name, reason in result.absent.items()}
        document = result.to_dict()
        self._record.edit(lambda job: replace(job, result=document))
        self._record.stages(stages, **evidence.of_result(result))
        return result

    def _classify_windows(
        self, path: Path, growing: Timeline, give_way: Callable[[Cancellation], None]
    ) -> None:
        windows: list[Window] = []

        def on_window(window: Window, count: int) -> None:
            windows.append(window)
            self._tell_windows(structs.replace(growing, windows=tuple(windows)), count)
            give_way(self._cancellation)

        self._record.stages({"timeline": working(0.0)})
        give_way(self._cancellation)
        with (
            self._connect(self._settings.server_url) as client,
            self._cancellation.interrupting(client.close),
        ):
            timeline = client.timeline(path, growing.window_s, growing.hop_s, on_window=on_window)
        self._tell_windows(structs.replace(timeline, video=self._name), len(timeline.windows))

    def _tell_windows(self, timeline: Timeline, count: int) -> None:
        document, there = timeline.to_dict(), len(timeline.windows)
        stage = done() if there == count else working(there / count, f"{there} of {count} windows")
        self._record.edit(
            lambda job: replace(job, timeline=document, stages={**job.stages, "timeline": stage})
        )

    def _end_timeline(self, error: BaseException) -> None:
        reason = self.explain(error) if is_expected(error) else "something went wrong in the app"

        def edit(job: Job) -> Job:
            timeline = job.timeline and {
                **job.timeline,
                "warnings": [*job.timeline["warnings"], f"the timeline ends early: {reason}"],
            }
            return replace(
                job, timeline=timeline, stages={**job.stages, "timeline": absent(reason)}
            )

        self._record.edit(edit)


def _fetching(progress: FetchProgress) -> Stage:
    received_mb = progress.bytes_received / BYTES_PER_MB
    if not progress.bytes_expected:
        return working(None, f"{received_mb:.1f} MB")
    # What is expected may be a guess, and too small.
    share = min(1.0, progress.bytes_received / progress.bytes_expected)
    return working(share, f"{received_mb:.1f} of {progress.bytes_expected / BYTES_PER_MB:.1f} MB")
