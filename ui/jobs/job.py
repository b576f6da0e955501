"""What a job is: one clip on its way from its source to its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


class SourceKind(StrEnum):
    """Where a clip comes from."""

    UPLOAD = "upload"
    LINK = "link"
    SAMPLE = "sample"
    FOLDER = "folder"


@dataclass(frozen=True)
class Source:
    """Where the clip comes from.

    Attributes:
        kind: upload, link, sample or folder.
        location: the link's URL; the path of a sample or of a clip in a folder on the server;
            the path of the received file for an upload, which the job takes over: once the job
            is stored, it is the name that the file had.
    """

    kind: SourceKind
    location: str


class ClipNotAllowedError(ValueError):
    """A clip does not lie in the folder whose clips may be used."""


class StageState(StrEnum):
    """How far one stage of a job is."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    ABSENT = "absent"
    """The modality said nothing; the stage's detail says why."""


STAGES = ("fetch", "decode", "image", "audio", "face", "speech", "text", "fusion", "timeline")
"""In the order in which they are shown. `fetch` is left out where nothing is fetched."""


@dataclass(frozen=True)
class Stage:
    """One stage's progress: 0 to 1, or None where it cannot be told."""

    state: StageState = StageState.WAITING
    progress: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a job failed: the error's type, what happened, and what to do."""

    kind: str
    message: str
    advice: str


@dataclass(frozen=True)
class Job:
    """One clip's way through the system, as the store knows it.

    Attributes:
        id: hard to guess: whoever knows it can see the job.
        name: for people: the file's name or the link's title.
        stages: stage -> how far it is, in the order of STAGES.
        evidence: what is known so far, in the published result's own words: `duration_s`,
            `frame_times_s`, `faces`, `speech`, `screen_text`, `audio_events`, `absent`, each as
            soon as it is known.
        result: the published result (result.schema.json); None until fusion is done.
        timeline: the published timeline (timeline.schema.json); its windows come one by one.
        failure: set where the state is FAILED.
        attempts: how often work on it was begun and neither ended nor was given back.
    """

    id: str
    name: str
    source: Source
    created_at: datetime
    state: State = State.WAITING
    stages: Mapping[str, Stage] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    timeline: Mapping[str, Any] | None = None
    failure: Failure | None = None
    cancel_requested: bool = False
    attempts: int = 0
