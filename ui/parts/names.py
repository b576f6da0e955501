"""Names of clips that tell them apart."""

from collections.abc import Iterator, Sequence

from ui.jobs.job import AnyJob
from vemoclap_client.files import numbered


def unique_names(jobs: Sequence[AnyJob]) -> dict[str, str]:
    """Id -> name; clips of the same name get a number, the oldest the first."""
    taken: dict[str, str] = {}
    # Of each name, those that were tried: a thousand clips may have the same.
    candidates: dict[str, Iterator[str]] = {}
    for job in sorted(jobs, key=lambda job: job.created_at):
        tried = candidates.setdefault(job.name, numbered(job.name))
        # Another clip may be called "a (2)" by itself.
        taken[next(name for name in tried if name not in taken)] = job.id
    names = {identifier: name for name, identifier in taken.items()}
    return {job.id: names[job.id] for job in jobs}
