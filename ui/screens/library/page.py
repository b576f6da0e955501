"""All clips: add many, watch them, sort, compare, export and delete them."""

import streamlit as st

from ui.jobs.library import Library
from ui.parts.limits import keeping
from ui.parts.navigation import Pages
from ui.parts.server_status import show_problem
from ui.screens.library.adding import show_adding
from ui.screens.library.table import show_clips

WORKING_REFRESH_S = 2.0
IDLE_REFRESH_S = 20.0
"""Other people, or other tabs, may add clips."""


def show_library(library: Library, pages: Pages) -> None:
    """The page, from top to bottom."""
    jobs = library.list_jobs()
    st.title("Library")
    show_problem(library.settings.server_url)
    show_adding(library, jobs)
    if not jobs:
        st.info("There are no clips yet. Add some above, or start on the Analyze page.")
    works = any(not job.state.is_over for job in jobs)
    refresh_s = WORKING_REFRESH_S if works else IDLE_REFRESH_S
    st.fragment(show_clips, run_every=refresh_s)(library, pages, works)
    st.caption(keeping(library.settings, library.owner))
