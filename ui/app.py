"""The app's frame: the menu, one page, and below it which head gave the latest result.

Where people sign in, each page is the sign-in page until they have. Behind the gateway, without
sign-in, the library is that of the token.
"""

from functools import partial

import streamlit as st
from streamlit.navigation.page import Page

from ui.application import application, sign_in
from ui.parts.navigation import Pages
from ui.parts.server_status import show_latest_head
from ui.parts.uploader import PROBLEMS
from ui.screens.about.page import show_about
from ui.screens.analyze.page import show_analyze
from ui.screens.compare.page import show_compare
from ui.screens.library.page import show_library
from ui.screens.result.page import show_result
from ui.screens.service.page import show_service
from ui.screens.sign_in.page import show_account, show_sign_in

STYLE = """<style>
/* Streamlit leaves 96 px above and 160 px below: much of a phone's screen. Lines end somewhere. */
[data-testid="stMainBlockContainer"] { padding-top: 3.25rem; padding-bottom: 2rem;
  max-width: 80rem; }
/* What is chosen or pointed at is marked by its frame and ground; in the primary colour its words
   would be too dark to read in the dark theme. */
button[role="radio"] { color: inherit !important; }
/* Links among buttons look like them, and stand in their line. */
.st-key-actions > .stElementContainer { margin: 0; }
.st-key-actions [data-testid="stPageLink-NavLink"] { color: inherit; min-height: 2.5rem; margin: 0;
  padding: 0 0.75rem; border: 1px solid color-mix(in srgb, currentColor 55%, transparent); }
</style>"""
SCREENS = {
    "analyze": show_analyze,
    "library": show_library,
    "service": show_service,
    "about": show_about,
    "result": show_result,
    "compare": show_compare,
}
"""Name of a page, which is its address -> what shows it."""

LISTED = ("analyze", "library", "service", "about")
"""The pages in the menu; links lead to the others."""

SHOWN = "page"
"""Session state: which page was shown last."""

TIMER_S = 3600.0


def _nothing() -> None:
    """Draws nothing."""


claims = st.user.to_dict()
owner = sign_in().owner_of_page(claims, st.context.headers)
library = application().library(owner) if owner else None
entries: dict[str, Page] = {}
pages = Pages(entries)
for name, show in SCREENS.items():
    entries[name] = st.Page(
        partial(show, library, pages) if library else partial(show_sign_in, sign_in()),
        title=name.capitalize(),
        url_path=name,
        default=name == "analyze",
    )
# Streamlit's own menu hides behind a button on a phone; four links fit every width.
page = st.navigation(list(entries.values()), position="hidden")
if st.session_state.get(SHOWN) != page.title:
    st.session_state[SHOWN] = page.title
    st.session_state.pop(PROBLEMS, None)
title = page.title.lower() if library else "sign in"
st.set_page_config(page_title=f"VEMOCLAP: {title}", layout="wide")
st.html(STYLE)
if library:
    with st.container(horizontal=True, key="menu"):
        for name in LISTED:
            pages.link(name)
        show_account(sign_in(), claims)
# Where the app no longer has the session of a browser that connects again, the first press would be
# lost: the new session knows nothing of the page. A page with a timer asks to be drawn at once.
st.fragment(_nothing, run_every=TIMER_S)()
body = st.container()
# Filled first: a page may end the script, or leave for another.
if library:
    with st.container():
        st.divider()
        show_latest_head(library)
with body:
    page.run()
