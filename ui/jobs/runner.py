"""Works on jobs in threads of its own, whatever the browser does."""

from ui.jobs.store import JobStore
from ui.settings import Settings


class Runner:
    """Takes waiting jobs from the store, one after the other in each thread."""

    def __init__(self, settings: Settings, store: JobStore) -> None:
        """Nothing runs before `start`."""
        self._settings = settings
        self._store = store

    def wake(self) -> None:
        """Has a thread look for a waiting job now; call it after adding one."""
