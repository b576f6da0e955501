"""One job in the store, as the work on it changes it."""

from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Any

from ui.jobs.job import Failure, Job, Stage, StageState, State
from ui.jobs.store import JobStore


class JobRecord:
    """Writes what the work on a job finds, as long as the job is to be worked on."""

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

    def stages(self, stages: Mapping[str, Stage], **evidence: Any) -> None:
        """Says how far some stages are, and what became known with that.

        Args:
            evidence: in the words of the published result; `absent` is added to what is absent
                already.
        """
        self.edit(lambda job: _with_evidence(_with_stages(job, stages), evidence))

    def finish(self) -> None:
        """The job is done."""
        self.edit(lambda job: replace(job, state=State.DONE))

    def fail(self, failure: Failure) -> None:
        """The job failed; what was being worked on waits for ever, so it is said to wait."""
        self.edit(lambda job: replace(_halted(job), state=State.FAILED, failure=failure))


def cancelled(job: Job) -> Job:
    """The job, cancelled if it is not over."""
    return job if job.state.is_over else replace(_halted(job), state=State.CANCELLED)


def done(detail: str = "") -> Stage:
    """A stage that is over."""
    return Stage(StageState.DONE, 1.0, detail)


def working(progress: float | None = None, detail: str = "") -> Stage:
    """A stage that is at work."""
    return Stage(StageState.WORKING, progress, detail)


def absent(reason: str) -> Stage:
    """A stage that said nothing, and why."""
    return Stage(StageState.ABSENT, None, reason)


def _with_stages(job: Job, stages: Mapping[str, Stage]) -> Job:
    return replace(job, stages={**job.stages, **stages})


def _with_evidence(job: Job, evidence: Mapping[str, Any]) -> Job:
    missing = {**job.evidence.get("absent", {}), **evidence.get("absent", {})}
    known = {**job.evidence, **evidence}
    return replace(job, evidence=known | {"absent": missing} if known else known)


def _halted(job: Job) -> Job:
    """Nothing is being worked on any more."""
    stages = {
        name: Stage() if stage.state is StageState.WORKING else stage
        for name, stage in job.stages.items()
    }
    return replace(job, stages=stages)
