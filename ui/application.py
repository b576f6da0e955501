"""One app: the settings, the store of jobs and the runner, which all pages and routes share."""

from dataclasses import dataclass
from functools import cache

from ui.jobs.adding import create_job
from ui.jobs.job import Job, Source
from ui.jobs.runner import Runner
from ui.jobs.store import JobStore
from ui.settings import Settings


@dataclass(frozen=True)
class Application:
    """One app: its settings, its files and its background work."""

    settings: Settings
    store: JobStore
    runner: Runner

    def add_job(self, name: str, source: Source) -> Job:
        """Adds a waiting job and has the runner look for it; arguments and errors of create_job."""
        job = create_job(self.settings, self.store, name, source)
        self.runner.wake()
        return job


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
