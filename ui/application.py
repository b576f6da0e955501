"""One app: the settings, the store of jobs and the runner, which all pages and routes share."""

from dataclasses import dataclass
from functools import cache

from ui.jobs.library import Library
from ui.jobs.runner import Runner
from ui.jobs.store import JobStore
from ui.owners import Owner
from ui.settings import Settings


@dataclass(frozen=True)
class Application:
    """One app: its settings, its files and its background work."""

    settings: Settings
    store: JobStore
    runner: Runner

    def library(self, owner: Owner) -> Library:
        """The clips of one owner."""
        return Library(self.settings, owner, self.store, self.runner)


@cache
def application() -> Application:
    """This process's app; made on first use.

    Only the entry points call it (serve.py, app.py), and hand the app on. It is not kept in
    Streamlit's cache, which can be cleared: a second runner would find the folder locked.

    Raises:
        SettingsError: a variable of the environment cannot be used.
    """
    settings = Settings.read()
    store = JobStore(settings.data)
    return Application(settings, store, Runner(settings, store))
