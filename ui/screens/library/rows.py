"""The library's table: a row for each clip, and which clips a filter or a folder holds."""

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ui.jobs.job import Job, StageState, State
from ui.jobs.media import CONTENT_TYPES
from vemoclap_client.analysis import Head

NO_EMOTION = "none stands out"
MOST_FOLDER_CLIPS = 1000
"""Clips that are listed of a folder: a list of more is of no use to anyone."""
MOST_FOLDER_ENTRIES = 100_000
"""Files that are looked at in a folder, so that a whole disk cannot stop a page."""


@dataclass(frozen=True)
class Filters:
    """Which clips are shown; what is empty lets all pass.

    Attributes:
        name: part of the name, in any case.
        emotions: names of emotions, or NO_EMOTION.
    """

    name: str = ""
    states: Collection[State] = ()
    emotions: Collection[str] = ()

    def passes(self, job: Job) -> bool:
        """Whether the clip is shown."""
        return (
            self.name.strip().casefold() in job.name.casefold()
            and (not self.states or job.state in self.states)
            and (not self.emotions or emotion_of(job) in self.emotions)
        )


def emotion_of(job: Job) -> str | None:
    """The most probable emotion, NO_EMOTION for an even result, None before there is a result."""
    if job.result is None:
        return None
    return job.result["emotion"] or NO_EMOTION


def progress(job: Job) -> float | None:
    """How far the job is, 0 to 1, each stage counting the same; None where it is over."""
    if job.state.is_over:
        return None
    over = (StageState.DONE, StageState.ABSENT)
    parts = [1.0 if stage.state in over else stage.progress or 0.0 for stage in job.stages.values()]
    return sum(parts) / len(parts) if parts else 0.0


def state_text(job: Job) -> str:
    """The state in a word or two, with what is asked of it."""
    if job.cancel_requested and not job.state.is_over:
        return "being cancelled"
    return job.state.value


def to_row(job: Job) -> dict[str, Any]:
    """One clip as a row of the table; None where something is not known."""
    result = job.result or {}
    probabilities = result.get("probabilities", {})
    stands_out = result.get("emotion") is not None
    return {
        "name": job.name,
        "state": state_text(job),
        "progress": progress(job),
        "emotion": emotion_of(job),
        "probability": max(probabilities.values()) if stands_out else None,
        "valence": result["valence"] if stands_out else None,
        "arousal": result["arousal"] if stands_out else None,
        "duration_s": result.get("duration_s", job.evidence.get("duration_s")),
        "head": str(Head(**result["head"])) if result else None,
        "profile": result.get("profile"),
        "added": job.created_at,
        "problem": job.failure.message if job.failure else None,
    }


def unique_names(jobs: Sequence[Job]) -> dict[str, str]:
    """Id -> name; clips of the same name get a number, the oldest the first."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for job in sorted(jobs, key=lambda job: job.created_at):
        counts[job.name] = counts.get(job.name, 0) + 1
        number = counts[job.name]
        names[job.id] = job.name if number == 1 else f"{job.name} ({number})"
    return {job.id: names[job.id] for job in jobs}


@dataclass(frozen=True)
class FolderClips:
    """The videos of a folder on the server.

    Attributes:
        paths: relative to the folder, in alphabetical order.
        is_complete: False where there are more than are listed.
    """

    paths: tuple[Path, ...]
    is_complete: bool


def folder_clips(
    folder: Path, most: int = MOST_FOLDER_CLIPS, most_entries: int = MOST_FOLDER_ENTRIES
) -> FolderClips:
    """The videos in a folder and the folders in it, none of which lead out of it.

    Raises:
        OSError: the folder is not there, or may not be read.
    """
    root = folder.resolve(strict=True)
    found: list[Path] = []
    for count, path in enumerate(_walk(root)):
        if len(found) == most or count == most_entries:
            return FolderClips(tuple(sorted(found)), is_complete=False)
        if _is_clip(path, root):
            found.append(path.relative_to(root))
    return FolderClips(tuple(sorted(found)), is_complete=True)


def _walk(root: Path) -> Iterable[Path]:
    """Every path below a folder, without following links to folders."""
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder")
    for folder, folders, files in os.walk(root):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(files))


def _is_clip(path: Path, root: Path) -> bool:
    """Whether it is a regular file with a video's name that really lies in the folder."""
    if path.suffix.lower() not in CONTENT_TYPES or path.name.startswith("."):
        return False
    try:
        target = path.resolve(strict=True)
    except OSError:
        return False
    return target.is_file() and target.is_relative_to(root)
