"""Works on jobs in threads of its own, whatever the browser does."""

import logging
import threading
import time
from concurrent.futures import CancelledError
from contextlib import suppress
from datetime import timedelta

from ui.jobs.advice import is_expected, to_failure
from ui.jobs.cancelling import Cancellation
from ui.jobs.job import Job
from ui.jobs.lock import DataFolderLock
from ui.jobs.record import JobRecord, cancelled
from ui.jobs.store import JobNotFoundError, JobStore
from ui.jobs.work import Connect, JobWork
from ui.settings import Settings
from vemoclap_client import EmotionClient

LOG = logging.getLogger(__name__)
LOOK_EVERY_S = 2.0
"""For waiting jobs of which nobody told: those of another process."""

WATCH_EVERY_S = 0.25
"""For jobs at work that another process cancelled or deleted."""

TIDY_EVERY_S = 3600.0
LEFTOVER_AGE = timedelta(days=1)


class Runner:
    """Takes waiting jobs from the store, one after the other in each thread."""

    def __init__(
        self, settings: Settings, store: JobStore, connect: Connect = EmotionClient
    ) -> None:
        """Nothing runs before `start`.

        Args:
            connect: makes a client of the server at an address.
        """
        self._settings = settings
        self._store = store
        self._connect = connect
        self._lock = DataFolderLock(store.data)
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._wakes = threading.Semaphore(0)
        self._at_work: dict[str, Cancellation] = {}
        self._tidied = 0.0

    def reserve(self) -> None:
        """Makes the folder of jobs this app's own, until `stop`; `start` does it too.

        Raises:
            DataFolderInUseError: another app works on the same folder.
        """
        self._lock.acquire()

    def start(self) -> None:
        """Begins to work, also on what an app that was killed has left.

        Raises:
            DataFolderInUseError: another app works on the same folder.
        """
        self.reserve()
        self._stopping.clear()
        self._store.release_all()
        self._tidy()
        targets = [self._watch] + [self._work] * self._settings.workers
        self._threads = [
            threading.Thread(target=target, name=f"jobs{target.__name__}", daemon=True)
            for target in targets
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Stops working; jobs at work wait for the next start.

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
        has_ended = not any(thread.is_alive() for thread in self._threads)
        if has_ended:
            self._lock.release()
        return has_ended

    def wake(self) -> None:
        """Has a thread look for a waiting job now; call it after adding one."""
        self._wakes.release()

    def cancel(self, identifier: str) -> Job:
        """Ends a job: for whoever looks it is cancelled now, its work ends at once or soon after.

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
                self._wakes.acquire(timeout=LOOK_EVERY_S)

    def _work_on_next(self) -> bool:
        """Whether there was a job to work on. It raises nothing: its thread must not die."""
        try:
            job = self._store.claim()
            if job is None:
                return False
            cancellation = self._at_work[job.id] = Cancellation()
            if self._stopping.is_set():
                cancellation.request()
            try:
                self._work_on(job, cancellation)
            finally:
                del self._at_work[job.id]
        except Exception:
            LOG.exception("a job could not be worked on")
            return False
        return True

    def _work_on(self, job: Job, cancellation: Cancellation) -> None:
        work = JobWork(self._settings, self._store, job, cancellation, self._connect)
        with suppress(JobNotFoundError):
            try:
                self._run(work, job, cancellation)
            except CancelledError:
                self._put_down(job.id)

    def _run(self, work: JobWork, job: Job, cancellation: Cancellation) -> None:
        try:
            work.run()
        except (CancelledError, JobNotFoundError):
            raise
        except Exception as error:
            # A clip that is deleted or cancelled under one's hands fails in many ways.
            self._store.get(job.id)
            cancellation.check()
            if not is_expected(error):
                LOG.exception("job %s failed", job.id)
            JobRecord(self._store, job.id).fail(to_failure(error, work.explain(error)))

    def _put_down(self, identifier: str) -> None:
        """After an interruption: it was cancelled, or the runner stops and the job is to wait."""
        job = self._store.get(identifier)
        if job.state.is_over:
            return
        if self._stopping.is_set() and not job.cancel_requested:
            self._store.release(identifier)
        else:
            self._store.change(identifier, cancelled)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_EVERY_S):
            try:
                for identifier in list(self._at_work):
                    self._look_at(identifier)
                if time.monotonic() - self._tidied > TIDY_EVERY_S:
                    self._tidy()
            except Exception:
                LOG.exception("the jobs at work could not be watched")

    def _look_at(self, identifier: str) -> None:
        try:
            job = self._store.get(identifier)
        except JobNotFoundError:
            self._interrupt(identifier)
            return
        if job.cancel_requested:
            self._interrupt(identifier)
            self._store.change(identifier, cancelled)

    def _tidy(self) -> None:
        self._tidied = time.monotonic()
        self._store.delete_older_than(self._settings.keep_days)
        self._store.remove_leftovers(LEFTOVER_AGE)
