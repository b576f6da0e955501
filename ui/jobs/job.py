"""What a job is: one clip on its way from its source to its result."""

from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, structs

from vemoclap_client import stream
from vemoclap_client.analysis import AudioEvent, Head, Speech
from vemoclap_client.result import EmotionResult, Judgement, TimedFace, TimedScreenText
from vemoclap_client.timeline import Timeline


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


class Source(Struct, frozen=True):
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


class OwnerLimitError(RuntimeError):
    """An owner has as many clips at work as one may have."""


class OwnerSpaceError(OwnerLimitError):
    """An owner has as much on the disk as one may have."""


class StageState(StrEnum):
    """How far one stage of a job is."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    ABSENT = "absent"
    """There is nothing of the modality to use; the stage's detail says why."""

    @property
    def is_over(self) -> bool:
        """Whether the stage has ended."""
        return self in (StageState.DONE, StageState.ABSENT)


STAGES = ("fetch", "decode", "image", "audio", "face", "speech", "text", "fusion", "timeline")
"""In the order in which they are shown. `fetch` is left out where nothing is fetched."""


class Stage(Struct, frozen=True):
    """One stage's progress: 0 to 1, or None where it is not known."""

    state: StageState = StageState.WAITING
    progress: float | None = None
    detail: str = ""


class Failure(Struct, frozen=True):
    """Why a job failed: the error's type, what happened, and what to do."""

    kind: str
    message: str
    advice: str


class KnownEvidence(Struct, frozen=True, kw_only=True):
    """What is known of a clip before its result: fields of EmotionResult, None until known."""

    duration_s: float | None = None
    frame_times_s: tuple[float, ...] | None = None
    faces: tuple[TimedFace, ...] | None = None
    speech: Speech | None = None
    screen_text: TimedScreenText | None = None
    audio_events: tuple[AudioEvent, ...] | None = None
    absent: dict[str, str] = {}

    def with_modality(self, found: stream.Evidence) -> "KnownEvidence":
        """This, with the evidence of one modality added."""
        absent = {found.modality: found.absent} if found.absent is not None else {}
        known = structs.replace(self, absent={**self.absent, **absent})
        match found.modality:
            case "face":
                return structs.replace(known, faces=found.faces)
            case "speech":
                return structs.replace(known, speech=found.speech)
            case "text":
                return structs.replace(known, screen_text=found.screen_text)
            case "audio":
                return structs.replace(known, audio_events=found.audio_events)
        return known


Known: TypeAlias = KnownEvidence | EmotionResult
"""The evidence of a clip, complete or not."""


class BaseJob(Struct, frozen=True, kw_only=True):
    """What a job and its entry in the list of jobs share.

    Attributes:
        id: hard to guess: whoever knows it can see the job.
        name: for people: the file's name or the link's title.
        stages: stage -> how far it is, in the order of STAGES.
        failure: set where the state is FAILED.
        attempts: how often the work that is under way was begun and neither ended nor was given
            back: that on the result, and then that on the timeline.
    """

    id: str
    name: str
    source: Source
    created_at: datetime
    state: State = State.WAITING
    stages: dict[str, Stage] = {}
    failure: Failure | None = None
    cancel_requested: bool = False
    attempts: int = 0


class Job(BaseJob, frozen=True, kw_only=True):
    """One clip's way through the system, as the store keeps it.

    Attributes:
        evidence: what is known so far; what comes with the result is in the result alone.
        result: None until fusion is done.
        timeline: its windows come one by one.
    """

    evidence: KnownEvidence = KnownEvidence()
    result: EmotionResult | None = None
    timeline: Timeline | None = None

    @property
    def known(self) -> Known:
        """The result or, before there is one, the evidence so far."""
        return self.result or self.evidence


class ListedResult(Judgement, frozen=True, kw_only=True):
    """The fields of EmotionResult that lists show."""

    duration_s: float
    profile: str
    head: Head


class ListedJob(BaseJob, frozen=True, kw_only=True):
    """A job in a list, which may have a thousand: without evidence and timeline."""

    result: ListedResult | None = None


AnyJob: TypeAlias = Job | ListedJob
