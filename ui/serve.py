"""The app as a server: Streamlit's pages, the work behind them, uploads and media.

    python -m ui.serve --server.port 8501

It takes the options of `streamlit run`, and Streamlit's other settings from the folder .streamlit
beside this file. `PYTHONPATH=. streamlit run ui/serve.py` is the same, but shows an error of the
settings as a traceback, and ends with an error when it is interrupted.
"""

import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import click
import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from streamlit.web import cli

from ui.api.access import check_host, owner_of
from ui.api.delivery import Deliveries
from ui.api.routes import ClipsApi, api_route
from ui.application import application, library_of, sign_in
from ui.files import FolderInUseError
from ui.jobs.library import Library
from ui.logs import set_up_observation, take_over_streamlit
from ui.routes import KnownHosts, MediaOfPages, media_routes
from ui.screens.library.export import export_route
from ui.settings import Settings, check_address
from ui.uploads.reception import UploadsToDisk

LOG = logging.getLogger(__name__)
PAGES = Path(__file__).with_name("app.py")


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Works on jobs as long as the server runs.

    Raises:
        SettingsError: a variable of the environment cannot be used.
        FolderInUseError: another app works on the same folder.
    """
    take_over_streamlit()
    # Streamlit imports it for the first table; where two pages begin to at once, one may fail.
    import_module("pandas")
    app = application()
    check_address(st.get_option("server.address"), app.settings)
    # Before anyone is let in. Only now Streamlit has read where its secrets are.
    LOG.info(_who(app.settings))
    runner = app.runner
    runner.start()
    deliveries = Deliveries(app.settings, app.store)
    deliveries.start()
    try:
        yield
    finally:
        deliveries.stop()
        if not await run_in_threadpool(runner.stop):
            LOG.warning("a job was still at work; it begins anew at the next start")


def _who(settings: Settings) -> str:
    """Whose clips are whose, for the log."""
    if sign_in().is_required:
        return "people sign in"
    if settings.is_behind_gateway:
        return "nobody signs in: a library for each token of the gateway"
    return "nobody signs in: one library"


def api_library_of(request: HTTPConnection) -> Library:
    """The clips that a request to the HTTP API may see."""
    app, is_required = application(), sign_in().is_required
    return app.library(owner_of(request.headers, app.settings, is_sign_in_required=is_required))


def check_caller(headers: Headers) -> None:
    """Returns if a page in a browser may have sent a request with these headers.

    Where people sign in, a page that calls the app by another name has nobody's cookie.

    Raises:
        HTTPException: 403.
    """
    if not sign_in().is_required:
        check_host(headers, application().settings)


app = st.App(
    PAGES,
    lifespan=lifespan,
    routes=[
        *media_routes(library_of),
        export_route(library_of),
        api_route(ClipsApi(application, api_library_of)),
    ],
    middleware=[
        Middleware(KnownHosts, check_caller),
        Middleware(MediaOfPages, library_of),
        Middleware(UploadsToDisk, library_of),
    ],
)


def main() -> None:
    """Serves until it is interrupted."""
    arguments = ["run", __file__, *sys.argv[1:]]
    # What neither option nor variable says, a file may: `lifespan` checks what counts in the end.
    found = cli.main_run.make_context("run", arguments[1:], resilient_parsing=True).params
    try:
        if address := found["server_address"]:
            check_address(address, application().settings)
        set_up_observation()
        application().runner.reserve()
    except (ValueError, FolderInUseError) as error:
        sys.exit(f"error: {error}")
    # uvicorn stops at a signal, and then raises it again.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cli.main(arguments, standalone_mode=False)
    except click.Abort:
        # Ctrl-C is how it is meant to end, or the launcher's or container's SIGTERM.
        return
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
