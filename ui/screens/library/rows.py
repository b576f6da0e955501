"""The library's table: a row for each clip, and which clips a filter or a folder holds."""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ui.jobs.job import AnyJob, State
from ui.jobs.media import CONTENT_TYPES

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

    def passes(self, job: AnyJob) -> bool:
        """Whether the clip is shown."""
        return (
            self.name.strip().casefold() in job.name.casefold()
            and (not self.states or job.state in self.states)
            and (not self.emotions or emotion_of(job) in self.emotions)
        )


def emotion_of(job: AnyJob) -> str | None:
    """The most probable emotion, NO_EMOTION for an even result, None before there is a result."""
    if job.result is None:
        return None
    return job.result.emotion or NO_EMOTION


def progress(job: AnyJob) -> float | None:
    """How far the job is, 0 to 1, each stage counting the same; None where it is over."""
    if job.state.is_over:
        return None
    parts = [1.0 if stage.state.is_over else stage.progress or 0.0 for stage in job.stages.values()]
    return sum(parts) / len(parts) if parts else 0.0


def state_text(job: AnyJob) -> str:
    """The state in a word or two, with what is asked of it."""
    if job.cancel_requested and not job.state.is_over:
        return "being cancelled"
    return job.state.value


def to_row(job: AnyJob) -> dict[str, Any]:
    """One clip as a row of the table; None where something is not known."""
    result = job.result
    distinct = result if result is not None and result.emotion is not None else None
    return {
        "name": job.name,
        "state": state_text(job),
        "progress": progress(job),
        "emotion": emotion_of(job),
        "probability": max(distinct.probabilities.values()) if distinct else None,
        "valence": distinct.valence if distinct else None,
        "arousal": distinct.arousal if distinct else None,
        "duration_s": result.duration_s if result else None,
        "head": str(result.head) if result else None,
        "profile": result.profile if result else None,
        "added": job.created_at,
        "problem": job.failure.message if job.failure else None,
    }


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
