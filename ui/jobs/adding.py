"""Adds jobs: the one way in for what the pages are asked for."""

import threading
from collections.abc import Callable
from pathlib import Path

from ui.jobs.job import STAGES, ClipNotAllowedError, Job, Source, SourceKind
from ui.jobs.media import check_allowed, clip_name
from ui.jobs.shares import check_share
from ui.jobs.store import JobStore
from ui.owners import Owner
from ui.settings import Settings
from vemoclap_client.errors import BadLinkError, ServerOverloadedError, VideoNotFoundError
from vemoclap_client.fetch import is_link

NAME_MAX = 200
ADDING = threading.Lock()
"""Held while an owner's clips are counted and one more is added. Only one process adds clips."""


class QueueFullError(ServerOverloadedError):
    """So many clips wait already that no more are taken."""


def check_may_add(settings: Settings, store: JobStore, owner: Owner) -> None:
    """Returns if the owner may add another clip.

    Raises:
        QueueFullError: as many as may wait do so.
        OwnerLimitError: the owner has as many clips, or as much, as one may.
    """
    waiting = store.count_waiting()
    if waiting >= settings.queue_limit:
        raise QueueFullError(f"{waiting} clips wait already, and no more may. Try again later.")
    check_share(settings, store, owner)


def create_job(settings: Settings, store: JobStore, name: str, source: Source, owner: Owner) -> Job:
    """Checks a clip's source and its owner's limits, and stores a waiting job for it.

    Args:
        name: what people call the clip, as the file's name; of an uploaded file its suffix
            counts, too.
        source: an uploaded file is moved away from where it is.
        owner: whose the clip becomes.

    Raises:
        QueueFullError: as many clips as may wait do so.
        BadLinkError: the link is not one.
        VideoNotFoundError: there is no such file.
        ClipNotAllowedError: it is not in the folder of samples, of the server's clips, or of
            received files.
        OwnerLimitError: the owner has as many clips, or as much, as one may.
    """
    with ADDING:
        check_may_add(settings, store, owner)
        return _create(settings, store, name, source, owner)


def _create(settings: Settings, store: JobStore, name: str, source: Source, owner: Owner) -> Job:
    name = _on_one_line(name)
    if source.kind is SourceKind.LINK:
        link = source.location.strip()
        if not is_link(link):
            raise BadLinkError(f"{link!r} is not a link: it begins with https://")
        return store.create(name, Source(source.kind, link), STAGES, owner=owner)
    if source.kind is SourceKind.UPLOAD:
        move = _moving(store, Path(source.location), name)
        return store.create(name, Source(source.kind, name), STAGES[1:], move, owner)
    path = Path(source.location).resolve()
    check_allowed(settings, source, path)
    if not path.is_file():
        raise VideoNotFoundError(f"{name} is not there, or is not a file")
    return store.create(name, Source(source.kind, str(path)), STAGES[1:], owner=owner)


def _moving(store: JobStore, received: Path, name: str) -> Callable[[Path], Path]:
    """What moves a received file into a job's folder."""
    if received.parent != store.uploads:
        raise ClipNotAllowedError(f"{name} was not received by this app")
    if not received.is_file():
        raise VideoNotFoundError(f"{name} is no longer there: upload it again")
    return lambda folder: received.rename(folder / clip_name(name))


def _on_one_line(name: str) -> str:
    """The name on one line, without what could not be shown."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return shown[:NAME_MAX] or "clip"
