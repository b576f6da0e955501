"""Writes to one job in the store, while it is worked on."""

from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError

from msgspec.structs import replace

from ui.jobs.job import Failure, Job, Stage, StageState, State
from ui.jobs.store import JobStore


class JobRecord:
    """Changes a job as long as it is to be worked on."""

    def __init__(self, store: JobStore, identifier: str) -> None:
        """For the job of that id."""
        self._store = store
        self._identifier = identifier

    def edit(self, change: Callable[[Job], Job]) -> Job:
        """Changes the job.

        Raises:
            CancelledError: it is no longer to be worked on.
            JobNotFoundError: it was deleted.
        """

        def guarded(job: Job) -> Job:
            if job.cancel_requested or job.state is not State.WORKING:
                raise CancelledError
            return change(job)

        return self._store.change(self._identifier, guarded)

    def set_stages(self, stages: Mapping[str, Stage]) -> None:
        """Writes how far some stages are."""
        self.edit(lambda job: with_stages(job, stages))

    def finish(self) -> None:
        """The job is done."""
        self.edit(lambda job: replace(job, state=State.DONE))

    def fail(self, failure: Failure) -> None:
        """The job failed; stages that were at work wait again."""
        self.edit(lambda job: replace(without_work(job), state=State.FAILED, failure=failure))


def cancelled(job: Job) -> Job:
    """The job, cancelled if it is not over."""
    return job if job.state.is_over else replace(without_work(job), state=State.CANCELLED)


def done(detail: str = "") -> Stage:
    """A stage that is over."""
    return Stage(StageState.DONE, 1.0, detail)


def working(progress: float | None = None, detail: str = "") -> Stage:
    """A stage that is at work."""
    return Stage(StageState.WORKING, progress, detail)


def absent(reason: str) -> Stage:
    """A stage with nothing of its modality to use, and why."""
    return Stage(StageState.ABSENT, None, reason)


def with_stages(job: Job, stages: Mapping[str, Stage]) -> Job:
    """The job with some of its stages replaced."""
    return replace(job, stages={**job.stages, **stages})


def without_work(job: Job) -> Job:
    """The job, with the stages that were at work waiting again."""
    stages = {
        name: Stage() if stage.state is StageState.WORKING else stage
        for name, stage in job.stages.items()
    }
    return replace(job, stages=stages)
