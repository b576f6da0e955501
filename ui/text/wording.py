"""Facts in words, the same on every page."""

from ui.jobs.job import Job, State
from ui.settings import Settings
from ui.views.words import percent

SECONDS_PER_MINUTE = 60
MEGABYTES_PER_GIGABYTE = 1000


def outcome(job: Job) -> str:
    """How far a job is, or what came out, in a few words."""
    if job.state is State.DONE and job.result:
        emotion = job.result["emotion"]
        if emotion is None:
            return "no emotion stands out"
        return f"{emotion}, {percent(job.result['probabilities'][emotion])}"
    return {
        State.WAITING: "waits its turn",
        State.WORKING: "being analyzed",
        State.FAILED: "could not be analyzed",
        State.CANCELLED: "cancelled",
    }.get(job.state, "done")


def upload_label(settings: Settings) -> str:
    """What can be uploaded, in words."""
    gigabytes = settings.upload_limit_mb / MEGABYTES_PER_GIGABYTE
    size = f"{gigabytes:g} GB" if gigabytes >= 1 else f"{settings.upload_limit_mb} MB"
    return f"One video or several, of any length, up to {size} each"


def keeping(settings: Settings) -> str:
    """What happens to the clips that are given."""
    return (
        f"Clips and results stay on this server for {_count(settings.keep_days, 'day')}. "
        "Everyone who can open this app can see them in the Library, and can delete them there."
    )


def length_limit(settings: Settings) -> str:
    """How long a clip from a link may be, in words."""
    seconds = settings.duration_limit_s
    if seconds < SECONDS_PER_MINUTE:
        return _count(seconds, "second")
    return _count(round(seconds / SECONDS_PER_MINUTE), "minute")


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
