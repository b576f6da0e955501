"""The app as a server: Streamlit's pages, the work behind them, uploads and media.

    python -m ui.serve --server.port 8501

It takes the options of `streamlit run`, and Streamlit's other settings from the folder .streamlit
beside this file. `PYTHONPATH=. streamlit run ui/serve.py` is the same, but shows an error of the
settings as a traceback, and ends with an error when it is interrupted.
"""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from streamlit.web import cli

from ui.application import application
from ui.files import FolderInUseError
from ui.routes import media_routes
from ui.screens.library.export import export_route
from ui.settings import SettingsError
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
    runner = application().runner
    runner.start()
    try:
        yield
    finally:
        if not await run_in_threadpool(runner.stop):
            LOG.warning("a job was still at work; it begins anew at the next start")


app = st.App(
    PAGES,
    lifespan=lifespan,
    routes=[*media_routes(application), export_route(application)],
    middleware=[Middleware(UploadsToDisk, application)],
)


def main() -> None:
    """Serves until it is interrupted."""
    try:
        application().runner.reserve()
    except (SettingsError, FolderInUseError) as error:
        sys.exit(f"error: {error}")
    try:
        cli.main(["run", __file__, *sys.argv[1:]], standalone_mode=False)
    except click.Abort:
        # Ctrl-C is how it is meant to end.
        return
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
