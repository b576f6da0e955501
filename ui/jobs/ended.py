"""What becomes of a job that was at work when the app ended, and of a timeline that ends early."""

from msgspec.structs import replace

from ui.jobs.advice import failure
from ui.jobs.job import Job, KnownEvidence, Stage, StageState, State


def start_over(job: Job) -> Job:
    """The job, waiting again; cancelled if that was asked for.

    One that has its result keeps it, and its state: only its timeline begins anew.
    """
    if job.cancel_requested:
        return replace(job, state=State.CANCELLED)
    if job.result is not None:
        if (timeline := job.stages["timeline"].state).is_over:
            return replace(job, state=State.DONE)
        if timeline is StageState.WAITING:
            return job
        return replace(job, stages={**job.stages, "timeline": Stage()}, timeline=None)
    return replace(
        job,
        state=State.WAITING,
        stages=dict.fromkeys(job.stages, Stage()),
        evidence=KnownEvidence(),
        timeline=None,
    )


def give_up(job: Job) -> Job:
    """The job as a failed one: it may be why the app ended. With a result it is done."""
    message = f"the app was killed {job.attempts} times while it worked on this clip"
    if job.result is not None:
        return replace(end_timeline(job, message), state=State.DONE)
    return replace(job, state=State.FAILED, failure=failure("AppEndedError", message))


def end_timeline(job: Job, reason: str) -> Job:
    """The job with as much of its timeline as there is, and why there is no more."""
    timeline = job.timeline
    if timeline is not None:
        warnings = (*timeline.warnings, f"the timeline ends early: {reason}")
        timeline = replace(timeline, warnings=warnings)
    stages = {**job.stages, "timeline": Stage(StageState.ABSENT, None, reason)}
    return replace(job, stages=stages, timeline=timeline)
