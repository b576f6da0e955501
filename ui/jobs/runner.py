"""Works on jobs in threads of its own, whatever the browser does."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from queue import Empty, SimpleQueue

from ui.files import FolderLock
from ui.jobs.advice import is_expected, to_failure
from ui.jobs.cancelling import Cancellation
from ui.jobs.job import Job
from ui.jobs.record import JobRecord, cancelled
from ui.jobs.store import JobNotFoundError, JobStore
from ui.jobs.work import Connect, JobWork
from ui.logs import recorded, short
from ui.settings import Settings
from vemoclap_client import EmotionClient
from vemoclap_client.limited import LimitedDecoder
from vemoclap_client.tracing import new_request_id

LOG = logging.getLogger(__name__)
CLAIM_EVERY_S = 2.0
"""Between two claims without a wake: another process may have added a job."""

WATCH_EVERY_S = 0.25
"""Between two checks of jobs at work, which another process may cancel or delete.

A clip that waits for its timeline is not at work: it is checked when its turn comes.
"""

REMOVE_EVERY_S = 3600.0
LEFTOVER_AGE = timedelta(days=1)


@dataclass(frozen=True)
class Task:
    """A job at work."""

    job: Job
    cancellation: Cancellation
    work: JobWork
    request_id: str


class Runner:
    """Takes waiting jobs from the store, one after the other in each thread.

    A clip's timeline costs many times its result. So one thread of its own computes timelines, of
    clips that have their result, and pauses while another clip waits for its result.
    """

    def __init__(self, settings: Settings, store: JobStore, connect: Connect | None = None) -> None:
        """Nothing runs before `start`.

        Args:
            connect: makes a client of the server at an address; default EmotionClient.
        """
        self._settings = settings
        self._store = store
        self.decoder = LimitedDecoder(settings.decoding_limits)
        """Decodes what users bring, in processes that `stop` ends."""
        self._connect = connect or partial(
            EmotionClient, windows_at_once=settings.windows_at_once, decoder=self.decoder
        )
        self._lock = FolderLock(store.data)
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._wakes = threading.Semaphore(0)
        self._at_work: dict[str, Cancellation] = {}
        self._classified: SimpleQueue[str] = SimpleQueue()
        self._classifying = 0
        self._classifying_changed = threading.Condition()
        self._removed_old_at = 0.0

    def reserve(self) -> None:
        """Makes the folder of jobs this app's own, until `stop`; `start` does it too.

        Raises:
            FolderInUseError: another app works on the same folder.
        """
        self._lock.acquire()

    def start(self) -> None:
        """Begins to work, also on what an app that was killed has left.

        Raises:
            FolderInUseError: another app works on the same folder.
        """
        self.reserve()
        self._stopping.clear()
        self.decoder.start()
        self._classified = SimpleQueue()
        for identifier in self._store.release_all():
            self._classified.put(identifier)
        self._remove_old()
        targets = [self._check_jobs, self._work_on_timelines] + [
            self._work
        ] * self._settings.workers
        self._threads = [
            threading.Thread(target=target, name=f"jobs{target.__name__}", daemon=True)
            for target in targets
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Stops working; jobs at work and clips without their timeline wait for the next start.

        Returns:
            Whether all threads ended in time. If not, the process is to end.
        """
        self._stopping.set()
        for cancellation in list(self._at_work.values()):
            cancellation.request()
        self._wakes.release(self._settings.workers)
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.decoder.close()
        has_ended = not any(thread.is_alive() for thread in self._threads)
        if has_ended:
            self._lock.release()
        return has_ended

    def wake(self) -> None:
        """Has a thread claim a waiting job now; call it after adding one."""
        self._wakes.release()

    def cancel(self, identifier: str) -> Job:
        """Marks a job as cancelled and ends its work, at once or soon after.

        Raises:
            JobNotFoundError: there is none of that id.
        """
        self._store.request_cancel(identifier)
        self._interrupt(identifier)
        return self._store.change(identifier, cancelled)

    def _interrupt(self, identifier: str) -> None:
        cancellation = self._at_work.get(identifier)
        if cancellation is not None and not cancellation.event.is_set():
            cancellation.request()

    def _work(self) -> None:
        while not self._stopping.is_set():
            if not self._work_on_next():
                self._wakes.acquire(timeout=CLAIM_EVERY_S)

    def _work_on_next(self) -> bool:
        """Whether there was a job to work on. It raises nothing: its thread must not die."""
        try:
            # Counted before it is claimed, so that it is never neither waiting nor counted.
            with self._counting():
                job = self._store.claim()
                if job is None:
                    return False
                task = self._task(job)
                is_classified = self._attempt(task, "classify", task.work.classify)
            if is_classified:
                self._classified.put(job.id)
        except Exception:
            LOG.exception("a job could not be worked on")
            return False
        return True

    def _task(self, job: Job) -> Task:
        """The job at work; `_attempt` ends it."""
        cancellation = self._at_work[job.id] = Cancellation()
        if self._stopping.is_set():
            cancellation.request()
        work = JobWork(self._settings, self._store, job, cancellation, self._connect, self.decoder)
        return Task(job, cancellation, work, new_request_id())

    def _work_on_timelines(self) -> None:
        """Computes the timelines of classified clips, one by one; a stop leaves the rest."""
        while not self._stopping.is_set():
            with suppress(Empty):
                identifier = self._classified.get(timeout=WATCH_EVERY_S)
                self._quietly(self._work_on_timeline, identifier)

    def _work_on_timeline(self, identifier: str) -> None:
        """Computes a clip's timeline, unless the job is over: a short clip's is done by then."""
        job = self._store.get(identifier)
        if not job.state.is_over:
            task = self._task(job)
            work = partial(task.work.classify_windows, self._wait_for_turn)
            self._attempt(task, "timeline", work)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Counts a clip as one that waits for its result, during the block."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._classifying_changed:
            self._classifying += change
            self._classifying_changed.notify_all()

    def _wait_for_turn(self, cancellation: Cancellation) -> None:
        """Returns when no clip waits for its result.

        Raises:
            CancelledError: the work was asked to end.
        """
        with self._classifying_changed:
            while self._classifying or self._store.count_waiting():
                cancellation.check()
                self._classifying_changed.wait(WATCH_EVERY_S)
        cancellation.check()

    def _attempt(self, task: Task, part: str, work: Callable[[], object]) -> bool:
        """Does a part of the work; False where it failed or was interrupted.

        It raises nothing: its thread must not die.
        """
        identifier = task.job.id
        try:
            with recorded(part, identifier, task.request_id):
                work()
        except CancelledError:
            self._quietly(self._end_interrupted, identifier)
        except JobNotFoundError:
            pass
        except Exception as error:
            self._quietly(self._fail, task, error)
        else:
            return True
        finally:
            del self._at_work[identifier]
        return False

    def _quietly(self, action: Callable[..., None], *arguments: object) -> None:
        try:
            action(*arguments)
        except JobNotFoundError:
            pass
        except Exception:
            LOG.exception("a job could not be read or stored")

    def _fail(self, task: Task, error: Exception) -> None:
        # Work on a clip that is deleted or cancelled meanwhile fails in many ways.
        self._store.get(task.job.id)
        if task.cancellation.event.is_set():
            self._end_interrupted(task.job.id)
            return
        if not is_expected(error):
            LOG.error("job %s failed", short(task.job.id), exc_info=error)
        failure = to_failure(error, task.work.explain(error))
        with suppress(CancelledError):
            JobRecord(self._store, task.job.id).fail(failure)

    def _end_interrupted(self, identifier: str) -> None:
        """Stores an interruption: the job is cancelled or, where the runner stops, waits again."""
        job = self._store.get(identifier)
        if job.state.is_over:
            return
        if self._stopping.is_set() and not job.cancel_requested:
            self._store.release(identifier)
        else:
            self._store.change(identifier, cancelled)

    def _check_jobs(self) -> None:
        while not self._stopping.wait(WATCH_EVERY_S):
            try:
                for identifier in list(self._at_work):
                    self._check(identifier)
                if time.monotonic() - self._removed_old_at > REMOVE_EVERY_S:
                    self._remove_old()
            except Exception:
                LOG.exception("the jobs at work could not be watched")

    def _check(self, identifier: str) -> None:
        try:
            if self._store.get(identifier).cancel_requested:
                self._interrupt(identifier)
                self._store.change(identifier, cancelled)
        except JobNotFoundError:
            self._interrupt(identifier)

    def _remove_old(self) -> None:
        self._removed_old_at = time.monotonic()
        self._store.delete_older_than(self._settings.keep_days)
        self._store.remove_leftovers(LEFTOVER_AGE)
