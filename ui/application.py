"""What all pages share: the settings, the store of jobs and the runner."""

from dataclasses import dataclass
from functools import cache

from ui.jobs.runner import Runner
from ui.jobs.store import JobStore
from ui.settings import Settings


@dataclass(frozen=True)
class Application:
    """One app: its pages, its background work and its files."""

    settings: Settings
    store: JobStore
    runner: Runner


@cache
def application() -> Application:
    """This process's app; made on first use.

    Raises:
        SettingsError: a variable of the environment cannot be used.
    """
    settings = Settings.read()
    store = JobStore(settings.data)
    return Application(settings, store, Runner(settings, store))
