"""What becomes of a job that was at work when the app ended."""

from msgspec.structs import replace

from ui.jobs.advice import failure
from ui.jobs.job import Job, KnownEvidence, Stage, State


def start_over(job: Job) -> Job:
    """The job, waiting again; cancelled if that was asked for."""
    if job.cancel_requested:
        return replace(job, state=State.CANCELLED)
    return replace(
        job,
        state=State.WAITING,
        stages=dict.fromkeys(job.stages, Stage()),
        evidence=KnownEvidence(),
        result=None,
        timeline=None,
    )


def give_up(job: Job) -> Job:
    """The job as a failed one: it may be why the app ended."""
    message = f"the app was killed {job.attempts} times while it worked on this clip"
    return replace(job, state=State.FAILED, failure=failure("AppEndedError", message))
