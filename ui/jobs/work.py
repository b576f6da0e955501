"""The work on one job: fetch, decode, each modality, fusion, timeline."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from ui.jobs import media
from ui.jobs.advice import is_expected, without_paths
from ui.jobs.cancelling import Cancellation
from ui.jobs.ended import end_timeline
from ui.jobs.job import Job, KnownEvidence, SourceKind, Stage
from ui.jobs.record import JobRecord, absent, done, with_stages, working
from ui.jobs.shares import check_room
from ui.jobs.store import JobNotFoundError, JobStore
from ui.logs import short
from ui.settings import BYTES_PER_MB, Settings
from vemoclap_client import EmotionClient
from vemoclap_client.assembling import timeline_of
from vemoclap_client.contract import MODALITIES
from vemoclap_client.errors import VideoNotFoundError
from vemoclap_client.fetch import FetchLimits, FetchProgress, fetch
from vemoclap_client.files import remove
from vemoclap_client.limited import LimitedDecoder
from vemoclap_client.media.video import Decoded, DecodedClip
from vemoclap_client.result import EmotionResult
from vemoclap_client.stream import Evidence
from vemoclap_client.timeline import Timeline, Window

LOG = logging.getLogger(__name__)
REPORT_EVERY_S = 0.5
HOPS_PER_CLIP = 16
"""So many windows, or few more: enough for a curve. Half of a window's 16 frames are its own, so a
timeline's frames are about eight times a result's, however long the clip."""

HOP_MIN_S = 2.0
HOP_MAX_S = 300.0
"""Half of the longest window that the client takes."""

HOPS_PER_WINDOW = 2

Connect = Callable[[str], EmotionClient]
"""Makes a client of the server at an address."""


def window_lengths(duration_s: float) -> tuple[float, float]:
    """The length of a window and the time from one to the next, in seconds, for a clip."""
    hop_s = round(min(max(HOP_MIN_S, duration_s / HOPS_PER_CLIP), HOP_MAX_S), 3)
    return HOPS_PER_WINDOW * hop_s, hop_s


class JobWork:
    """Works on one job, from its source to its timeline."""

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        job: Job,
        cancellation: Cancellation,
        connect: Connect,
        decoder: LimitedDecoder,
    ) -> None:
        """Nothing is done before `classify`."""
        self._settings = settings
        self._store = store
        self._job = job
        self._cancellation = cancellation
        self._connect = connect
        self._decoder = decoder
        self._record = JobRecord(store, job.id)
        self._name = job.name
        self._reported = 0.0

    def classify(self) -> None:
        """Stores the job's result; of a short clip the timeline, too, and marks it as done.

        Raises:
            CancelledError: it was asked to end.
            JobNotFoundError: it was deleted meanwhile.
            VemoclapError: what went wrong with the clip, the link or the server.
            ClipNotAllowedError: the clip is not where it may be.
        """
        self._cancellation.check()
        clip_path = self._bring_clip()
        with self._connect(self._settings.server_url) as client:
            result = self._classify(client, clip_path)
        window_s, hop_s = window_lengths(result.duration_s)
        if result.duration_s <= window_s:
            # One window is the whole clip, which has been classified.
            self._write_timeline(timeline_of(result, window_s, hop_s), 1)
            self._record.finish()

    def classify_windows(self, wait_for_turn: Callable[[Cancellation], None]) -> None:
        """Stores the timeline of the job, which was made with its result, and marks it as done.

        Args:
            wait_for_turn: is called before each window, and returns when it may be sent.

        Raises:
            CancelledError: it was asked to end.
            JobNotFoundError: it was deleted meanwhile.
        """
        self._cancellation.check()
        assert self._job.result is not None
        try:
            self._send_windows(self._job.result, wait_for_turn)
        except (CancelledError, JobNotFoundError):
            raise
        except Exception as error:
            # The result is there and stays: a timeline is only more of it.
            if not is_expected(error):
                LOG.exception("the timeline of job %s failed", short(self._job.id))
            reason = (
                self.explain(error) if is_expected(error) else "something went wrong in the app"
            )
            self._record.edit(lambda job: end_timeline(job, reason))
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
        path = self._checked(path)
        fetched = {"fetch": done()} if "fetch" in self._job.stages else {}
        self._record.set_stages({**fetched, "decode": working()})
        return path

    def _checked(self, path: Path | None) -> Path:
        if path is None:
            raise VideoNotFoundError(f"{self._name} is no longer there")
        media.check_allowed(self._settings, self._job.source, path)
        return path

    def _fetch(self) -> Path:
        owner = self._store.owner_of(self._job.id)
        limits = FetchLimits(
            size_bytes=check_room(self._settings, self._store, owner),
            duration_s=float(self._settings.duration_limit_s),
        )
        self._record.set_stages({"fetch": working()})
        folder = self._store.folder(self._job.id)
        unfinished = folder / "fetching"
        # What a killed app left there.
        remove(unfinished)
        unfinished.mkdir()
        link = self._job.source.location
        with fetch(link, limits, self._on_progress, unfinished, decoder=self._decoder) as fetched:
            path = fetched.path.rename(folder / media.clip_name(fetched.path.name))
            self._name = fetched.title.strip() or self._name
        remove(unfinished)
        self._record.edit(lambda job: replace(job, name=self._name))
        return path

    def _on_progress(self, progress: FetchProgress) -> None:
        self._cancellation.check()
        if time.monotonic() - self._reported >= REPORT_EVERY_S:
            self._reported = time.monotonic()
            self._record.set_stages({"fetch": _fetching(progress)})

    def _classify(self, client: EmotionClient, path: Path) -> EmotionResult:
        events = client.stream(path, caption=True, cancel=self._cancellation.event)
        with closing(events):
            for event in events:
                self._cancellation.check()
                if isinstance(event, Decoded):
                    self._write_clip(event.clip)
                elif isinstance(event, Evidence):
                    self._write_evidence(event)
                else:
                    return self._write_result(event)
        raise AssertionError("the stream ended without a result")

    def _write_clip(self, clip: DecodedClip) -> None:
        media.write_frames(self._store, self._job.id, clip.frames)
        stages = {"decode": done(), **dict.fromkeys(MODALITIES, working())}
        evidence = KnownEvidence(
            duration_s=round(clip.duration_s, 3),
            frame_times_s=tuple(round(time_s, 3) for time_s in clip.frame_times_s),
        )
        self._record.edit(lambda job: replace(with_stages(job, stages), evidence=evidence))

    def _write_evidence(self, found: Evidence) -> None:
        stage = done() if found.absent is None else absent(found.absent)
        self._record.edit(
            lambda job: replace(
                with_stages(job, {found.modality: stage}),
                evidence=job.evidence.with_modality(found),
            )
        )

    def _write_result(self, result: EmotionResult) -> EmotionResult:
        # The client knows the clip by its path, which is nobody's business.
        result = replace(result, video=self._name)
        stages: dict[str, Stage] = {name: done() for name in (*MODALITIES, "fusion")}
        stages |= {name: absent(reason) for name, reason in result.absent.items()}
        # This work has ended, and what is left is not why an app that ends now does.
        self._record.edit(lambda job: replace(with_stages(job, stages), result=result, attempts=0))
        return result

    def _send_windows(
        self, result: EmotionResult, wait_for_turn: Callable[[Cancellation], None]
    ) -> None:
        path = self._checked(media.clip_path(self._store, self._job))
        window_s, hop_s = window_lengths(result.duration_s)
        growing = Timeline(
            video=self._name,
            duration_s=result.duration_s,
            window_s=window_s,
            hop_s=hop_s,
            windows=(),
            warnings=result.warnings,
        )
        windows: list[Window] = []

        def on_window(window: Window, count: int) -> None:
            windows.append(window)
            self._write_timeline(replace(growing, windows=tuple(windows)), count)
            wait_for_turn(self._cancellation)

        wait_for_turn(self._cancellation)
        begun = {"timeline": working(0.0)}
        self._record.edit(lambda job: replace(with_stages(job, begun), attempts=job.attempts + 1))
        with (
            self._connect(self._settings.server_url) as client,
            self._cancellation.interrupting(client.close),
        ):
            timeline = client.timeline(path, window_s, hop_s, on_window=on_window)
        self._write_timeline(replace(timeline, video=self._name), len(timeline.windows))

    def _write_timeline(self, timeline: Timeline, count: int) -> None:
        ready = len(timeline.windows)
        stage = done() if ready == count else working(ready / count, f"{ready} of {count} windows")
        self._record.edit(
            lambda job: replace(with_stages(job, {"timeline": stage}), timeline=timeline)
        )


def _fetching(progress: FetchProgress) -> Stage:
    received_mb = progress.bytes_received / BYTES_PER_MB
    if not progress.bytes_expected:
        return working(None, f"{received_mb:.1f} MB")
    # What is expected may be a guess, and too small.
    share = min(1.0, progress.bytes_received / progress.bytes_expected)
    return working(share, f"{received_mb:.1f} of {progress.bytes_expected / BYTES_PER_MB:.1f} MB")
