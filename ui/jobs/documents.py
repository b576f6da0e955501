"""A job as JSON, as the store keeps it."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ui.jobs.job import Failure, Job, Source, SourceKind, Stage, StageState, State


def write_job(job: Job) -> str:
    """The job as JSON."""
    document = asdict(job) | {"created_at": job.created_at.isoformat()}
    return json.dumps(document, ensure_ascii=False)


def read_job(text: str) -> Job:
    """The job that was written so."""
    document: dict[str, Any] = json.loads(text)
    source = document["source"]
    failure = document["failure"]
    document |= {
        "created_at": datetime.fromisoformat(document["created_at"]),
        "state": State(document["state"]),
        "source": Source(SourceKind(source["kind"]), source["location"]),
        "stages": {
            name: Stage(StageState(stage["state"]), stage["progress"], stage["detail"])
            for name, stage in document["stages"].items()
        },
        "failure": Failure(**failure) if failure else None,
    }
    return Job(**document)
