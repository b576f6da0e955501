"""The documents of the HTTP API. Its OpenAPI document is generated from these types."""

from datetime import datetime
from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct, to_builtins

from ui.jobs.job import BaseJob, Job, ListedJob, ListedResult, SourceKind, Stage, State
from ui.jobs.webhooks import Webhook
from vemoclap_client import errors
from vemoclap_client.analysis import Absent, AudioEvent, Seconds, Speech
from vemoclap_client.errors import VemoclapError
from vemoclap_client.result import EmotionResult, FrameTimes, TimedFace, TimedScreenText
from vemoclap_client.timeline import Timeline

WebhookUrl: TypeAlias = Annotated[
    str, Meta(description="https; gets the finished clip as a signed POST.")
]


class NewLink(Struct, frozen=True, forbid_unknown_fields=True):
    """A clip that is to be fetched from a link.

    Attributes:
        url: of a video, or of a page with one: http or https.
        webhook: where to send the finished clip; None for nowhere.
    """

    url: Annotated[str, Meta(description="Of a video, or of a page with one: http or https.")]
    webhook: WebhookUrl | None = None


class ClipFailure(Struct, frozen=True):
    """Why a clip has no result.

    Attributes:
        error: the name of the error's type, as in vemoclap_client.errors.
        message: what happened.
        advice: what to do about it.
        exit_code: that the command `vemoclap` ends with at this error.
    """

    error: str
    message: str
    advice: str
    exit_code: int


class WebhookState(Struct, frozen=True):
    """How far the delivery of a finished clip is.

    Attributes:
        url: where it is sent.
        state: "waiting", "delivered", or "failed": no more tries.
        tries: how often it was sent.
        error: what the last try failed of; empty where none failed.
    """

    url: str
    state: str
    tries: int
    error: str


class BaseClip(Struct, frozen=True, kw_only=True):
    """What a clip and its entry in a list share.

    Attributes:
        id: part of the clip's address, and hard to guess.
        name: the file's name or the link's title.
        source: where the clip comes from.
        created_at: when it was added.
        state: how far it is.
        stages: stage -> how far it is.
        failure: set where the state is "failed".
    """

    id: str
    name: str
    source: SourceKind
    created_at: datetime
    state: State
    stages: dict[str, Stage]
    failure: ClipFailure | None


class Clip(BaseClip, frozen=True, kw_only=True):
    """One clip, with all that is known.

    Attributes:
        result: as `vemoclap classify` writes it; None until it is known.
        timeline: as `vemoclap timeline` writes it; it grows window by window after the result.
        webhook: None where none was asked for.
    """

    result: EmotionResult | None
    timeline: Timeline | None
    webhook: WebhookState | None


class ListedClip(BaseClip, frozen=True, kw_only=True):
    """A clip in a list: without evidence and timeline."""

    result: ListedResult | None


class ClipPage(Struct, frozen=True):
    """Some clips, the latest first.

    Attributes:
        clips: the page.
        next: the path of the next page; None on the last.
    """

    clips: tuple[ListedClip, ...]
    next: str | None


class Problem(Struct, frozen=True):
    """An error, after RFC 9457.

    Attributes:
        type: "about:blank", or "urn:vemoclap:error:" and the name of the error's type.
        title: of the status.
        status: of the answer.
        detail: what happened, and what to do.
        exit_code: that the command `vemoclap` ends with at this error; None for one that it lacks.
    """

    type: str
    title: str
    status: int
    detail: str
    exit_code: int | None


class StateEvent(Struct, frozen=True):
    """Data of the events `state` and `end`.

    Attributes:
        state: how far the clip is.
        stages: stage -> how far it is.
        failure: set where the state is "failed".
    """

    state: State
    stages: dict[str, Stage]
    failure: ClipFailure | None


class DecodedEvent(Struct, frozen=True):
    """Data of the event `decoded`.

    Attributes:
        duration_s: length of the clip.
        frame_times_s: when each of its 16 frames is shown.
    """

    duration_s: Seconds
    frame_times_s: FrameTimes


class EvidenceEvent(Struct, frozen=True):
    """Data of the event `evidence`: what one modality holds; the others' fields are null.

    Attributes:
        modality: image, audio, face, speech or text. "image" only says that the frames are encoded.
        absent: modality -> why there is nothing of it to use; empty where there is.
        faces: of "face".
        speech: of "speech".
        screen_text: of "text".
        audio_events: of "audio".
    """

    modality: str
    absent: Absent
    faces: tuple[TimedFace, ...] | None = None
    speech: Speech | None = None
    screen_text: TimedScreenText | None = None
    audio_events: tuple[AudioEvent, ...] | None = None


class Delivery(Struct, frozen=True):
    """What a webhook gets.

    Attributes:
        type: "clip.done", "clip.failed" or "clip.cancelled".
        timestamp: when it was sent.
        data: the clip.
    """

    type: str
    timestamp: datetime
    data: Clip


def to_clip(job: Job, webhook: Webhook | None) -> Clip:
    """A job as the API gives it."""
    state = None
    if webhook is not None:
        state = WebhookState(webhook.url, webhook.state, webhook.tries, webhook.error)
    return Clip(**_shared(job), result=job.result, timeline=job.timeline, webhook=state)


def to_listed(job: ListedJob) -> ListedClip:
    """A job in a list, as the API gives it."""
    return ListedClip(**_shared(job), result=job.result)


def to_state(job: Job) -> StateEvent:
    """How far a job is."""
    return StateEvent(job.state, job.stages, to_failure(job))


def to_failure(job: BaseJob) -> ClipFailure | None:
    """Why a job failed; None where it did not."""
    if job.failure is None:
        return None
    known = getattr(errors, job.failure.kind, VemoclapError)
    return ClipFailure(job.failure.kind, job.failure.message, job.failure.advice, known.exit_code)


def _shared(job: BaseJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "source": job.source.kind,
        "created_at": job.created_at,
        "state": job.state,
        "stages": job.stages,
        "failure": to_failure(job),
    }


def to_json_ready(document: Any) -> Any:
    """A document as JSON-ready objects; results and windows with their conclusions."""
    if hasattr(document, "to_dict"):
        return document.to_dict()
    if isinstance(document, Struct):
        fields = {name: getattr(document, name) for name in document.__struct_fields__}
        return {name: to_json_ready(value) for name, value in fields.items()}
    if isinstance(document, tuple):
        return [to_json_ready(item) for item in document]
    return to_builtins(document)
