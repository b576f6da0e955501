"""The clips of one owner: the one way for pages, routes and the HTTP API to clips."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from ui.jobs.adding import check_may_add, create_job
from ui.jobs.job import Job, ListedJob, Source
from ui.jobs.media import Folders
from ui.jobs.runner import Runner
from ui.jobs.shares import check_room
from ui.jobs.store import JobNotFoundError, JobStore
from ui.owners import Owner
from ui.settings import Settings
from vemoclap_client.limited import LimitedDecoder


@dataclass(frozen=True)
class Library:
    """What one owner sees, and what they can do with it.

    A job of another owner is none: the same JobNotFoundError as for one that never was.

    Attributes:
        settings: the app's.
        owner: who it is. EVERYONE sees every clip.
    """

    settings: Settings
    owner: Owner
    _store: JobStore = field(repr=False)
    _runner: Runner = field(repr=False)

    @property
    def folders(self) -> Folders:
        """Where files are. Take a job's only after `get` has returned the job."""
        return self._store

    @property
    def decoder(self) -> LimitedDecoder:
        """Decodes files of strangers."""
        return self._runner.decoder

    def get(self, identifier: str) -> Job:
        """The job as it is now; one whose document cannot be read is a failed job.

        Raises:
            JobNotFoundError: the owner has none of that id.
        """
        return self._store.get(identifier, self.owner)

    def list_jobs(self) -> list[ListedJob]:
        """All jobs of the owner, the latest first."""
        return self._store.list_jobs(self.owner)

    def count_states(self) -> Counter[str]:
        """How many jobs of the owner are in each state."""
        return self._store.count_states(self.owner)

    def page(self, limit: int, after: str = "") -> list[ListedJob]:
        """Up to `limit` jobs of the owner, the latest first.

        Args:
            after: page_position of the job that the page before ended with; empty for the first.
        """
        return self._store.page(limit, after, self.owner)

    def latest_done(self) -> ListedJob | None:
        """The owner's latest job that is done and can be read; None if there is none."""
        return self._store.latest_done(self.owner)

    def check_may_add(self) -> None:
        """Returns if another clip may wait.

        Raises:
            QueueFullError: as many as may wait do so.
            OwnerLimitError: the owner has as many clips, or as much, as one may.
        """
        check_may_add(self.settings, self._store, self.owner)

    def check_room(self, needed_bytes: int = 0) -> int:
        """Returns how many bytes one more clip may have, at most.

        Args:
            needed_bytes: what is known of its size before it comes.

        Raises:
            OwnerSpaceError: the owner has too much on the disk.
        """
        return check_room(self.settings, self._store, self.owner, needed_bytes)

    def add(self, name: str, source: Source) -> Job:
        """Adds a waiting job and has the runner look for it.

        Args:
            name: what people call the clip, as the file's name.
            source: an uploaded file is moved away from where it is.

        Raises:
            QueueFullError: as many clips as may wait do so.
            BadLinkError: the link is not one.
            VideoNotFoundError: there is no such file.
            ClipNotAllowedError: it is not in a folder that may be used.
            OwnerLimitError: the owner has as many clips, or as much, as one may.
        """
        job = create_job(self.settings, self._store, name, source, self.owner)
        self._runner.wake()
        return job

    def cancel(self, identifier: str) -> Job:
        """Marks a job as cancelled and ends its work, at once or soon after.

        Raises:
            JobNotFoundError: the owner has none of that id.
        """
        self.get(identifier)
        return self._runner.cancel(identifier)

    def delete(self, identifier: str) -> None:
        """Ends the work on a job and removes it with its clip.

        Raises:
            JobNotFoundError: the owner has none of that id.
        """
        self.get(identifier)
        with suppress(JobNotFoundError):  # Another tab may delete it meanwhile.
            self._runner.cancel(identifier)
        self._store.delete(identifier)
