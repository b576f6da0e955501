"""One app: the settings, the store of jobs and the runner, which all pages and routes share."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from ui.jobs.library import Library
from ui.jobs.runner import Runner
from ui.jobs.store import JobStore
from ui.owners import NO_TOKEN, Owner
from ui.settings import Settings, SettingsError
from ui.sign_in.configuration import origin, read_providers
from ui.sign_in.ended import EndedSessions
from ui.sign_in.identity import SignIn


@dataclass(frozen=True)
class Application:
    """One app: its settings, its files and its background work."""

    settings: Settings
    store: JobStore
    runner: Runner

    def library(self, owner: Owner) -> Library:
        """The clips of one owner."""
        return Library(self.settings, owner, self.store, self.runner)


LibraryOf = Callable[[HTTPConnection], Library]
"""Gives the clips that a request may see; raises an HTTPException if it may see none."""


@cache
def application() -> Application:
    """This process's app; made on first use.

    Only the entry points call it (serve.py, app.py), and hand the app on. It is not kept in
    Streamlit's cache, which can be cleared: a second runner would find the folder locked.

    Raises:
        SettingsError: a variable of the environment, or the folder of jobs, cannot be used.
    """
    settings = Settings.read()
    try:
        store = JobStore(settings.data)
    except (OSError, sqlite3.Error) as error:
        raise SettingsError(
            f"the folder {settings.data} cannot be used: {error}. Name another with "
            "$VEMOCLAP_APP_DATA"
        ) from error
    return Application(settings, store, Runner(settings, store))


@cache
def sign_in() -> SignIn:
    """Who has to sign in to this process's app; made when it starts to serve.

    Raises:
        SettingsError: Streamlit's secrets cannot be used to sign in.
    """
    app = application()
    providers = read_providers()
    ended = EndedSessions(app.store.data)
    address = origin() if providers else ""
    settings = app.settings
    return SignIn(providers, address, settings.session_hours, ended, settings.is_behind_gateway)


def library_of(request: HTTPConnection) -> Library:
    """The clips that a request may see, by the cookie of the one who is signed in, or the token.

    Raises:
        HTTPException: 401, nobody is, or the gateway does not say whose token it was.
    """
    owner = sign_in().owner_of_request(request.cookies, request.headers)
    if owner is None:
        raise HTTPException(401, "sign in first" if sign_in().is_required else NO_TOKEN)
    return application().library(owner)
