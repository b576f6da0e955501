"""Adds jobs: the one way in for what the pages are asked for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ui.application import Application
from ui.jobs.job import STAGES, ClipNotAllowedError, Job, Source, SourceKind
from ui.jobs.media import check_allowed, clip_name
from vemoclap_client.errors import BadLinkError, VideoNotFoundError
from vemoclap_client.fetch import is_link

NAME_MAX = 200


def add_job(application: Application, name: str, source: Source) -> Job:
    """Adds a waiting job and has the runner look for it.

    Args:
        name: what people call the clip, as the file's name; of an uploaded file its suffix
            counts, too.
        source: an uploaded file is moved away from where it is.

    Raises:
        BadLinkError: the link is not one.
        VideoNotFoundError: there is no such file.
        ClipNotAllowedError: it is not in the folder of samples, of the server's clips, or of
            received files.
    """
    name = _shown(name)
    stages: tuple[str, ...] = STAGES[1:]
    prepare = None
    if source.kind is SourceKind.LINK:
        source = Source(source.kind, source.location.strip())
        if not is_link(source.location):
            raise BadLinkError(f"{source.location!r} is not a link: it begins with https://")
        stages = STAGES
    elif source.kind is SourceKind.UPLOAD:
        prepare = _taking_over(application, Path(source.location), name)
        source = Source(source.kind, name)
    else:
        path = Path(source.location).resolve()
        check_allowed(application.settings, source, path)
        if not path.is_file():
            raise VideoNotFoundError(f"{name} is not there, or is not a file")
        source = replace(source, location=str(path))
    job = application.store.create(name, source, stages, prepare)
    application.runner.wake()
    return job


def _taking_over(application: Application, received: Path, name: str) -> Callable[[Path], Path]:
    if received.parent != application.store.uploads:
        raise ClipNotAllowedError(f"{name} was not received by this app")
    if not received.is_file():
        raise VideoNotFoundError(f"{name} is no longer there: upload it again")
    return lambda folder: received.rename(folder / clip_name(name))


def _shown(name: str) -> str:
    """The name on one line, without what could not be shown."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return shown[:NAME_MAX] or "clip"
