"""A job's JSON document, as the store keeps it."""

from datetime import datetime
from typing import TypeVar

import msgspec

from ui.jobs.advice import failure
from ui.jobs.job import BaseJob, Job, ListedJob, Source, SourceKind, State

UNREADABLE = "StoredDocumentError"
"""Kind of the failure that stands for a document which cannot be read."""

JobType = TypeVar("JobType", Job, ListedJob)


def encode(job: Job) -> str:
    """The document of a job."""
    return msgspec.json.encode(job).decode()


def read(row: tuple[str, str, str], kind: type[JobType]) -> JobType:
    """The job of a row; a failed one in the place of one whose document cannot be read.

    Args:
        row: id, time of creation, document. Fields that the type lacks are passed over.
    """
    identifier, created_at, document = row
    try:
        return msgspec.json.decode(document, type=kind)
    except msgspec.DecodeError as error:
        return kind(
            id=identifier,
            name=_name_in(document),
            source=Source(SourceKind.UPLOAD, ""),
            created_at=datetime.fromisoformat(created_at),
            state=State.FAILED,
            failure=failure(UNREADABLE, f"what is stored of this clip cannot be read: {error}"),
        )


def summary(identifier: str, created_at: str, document: str) -> str | None:
    """The document without what lists do not show: a ListedJob's; None if it cannot be read."""
    job = read((identifier, created_at, document), ListedJob)
    return None if is_unreadable(job) else msgspec.json.encode(job).decode()


def is_unreadable(job: BaseJob) -> bool:
    """Whether the job stands for one whose document cannot be read."""
    return job.failure is not None and job.failure.kind == UNREADABLE


class _Named(msgspec.Struct):
    name: str = "clip"


def _name_in(document: str) -> str:
    try:
        return msgspec.json.decode(document, type=_Named).name
    except msgspec.DecodeError:
        return _Named().name
