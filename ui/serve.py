"""The app as a server: Streamlit's pages, the work behind them, uploads and media.

    PYTHONPATH=. streamlit run ui/serve.py

Streamlit takes its settings from the folder .streamlit beside this file.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from ui.application import application
from ui.routes import media_routes
from ui.uploads import UploadsToDisk

LOG = logging.getLogger(__name__)
PAGES = Path(__file__).with_name("app.py")


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Works on jobs as long as the server runs.

    Raises:
        SettingsError: a variable of the environment cannot be used.
        DataFolderInUseError: another app works on the same folder.
    """
    runner = application().runner
    runner.start()
    try:
        yield
    finally:
        if not await run_in_threadpool(runner.stop):
            LOG.warning("a job was still being decoded; it begins anew at the next start")


app = st.App(
    PAGES, lifespan=lifespan, routes=media_routes(), middleware=[Middleware(UploadsToDisk)]
)
