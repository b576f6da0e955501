"""Names of clips that tell them apart."""

from collections.abc import Sequence

from ui.jobs.job import AnyJob


def unique_names(jobs: Sequence[AnyJob]) -> dict[str, str]:
    """Id -> name; clips of the same name get a number, the oldest the first."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for job in sorted(jobs, key=lambda job: job.created_at):
        counts[job.name] = counts.get(job.name, 0) + 1
        number = counts[job.name]
        names[job.id] = job.name if number == 1 else f"{job.name} ({number})"
    return {job.id: names[job.id] for job in jobs}
