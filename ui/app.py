"""The app's frame: the menu, one page, and below it which head answered."""

import streamlit as st

from ui.server_status import show_last_answer

STYLE = """<style>
/* Streamlit leaves 96 px above and 160 px below: much of a phone's screen. Lines end somewhere. */
[data-testid="stMainBlockContainer"] { padding-top: 3.25rem; padding-bottom: 2rem;
  max-width: 80rem; }
/* What is chosen or pointed at is marked by its frame and ground; in the primary colour its words
   would be too dark to read in the dark theme. */
button[role="radio"] { color: inherit !important; }
</style>"""

st.set_page_config(page_title="VEMOCLAP", layout="wide")
listed = [
    st.Page("screens/analyze.py", title="Analyze", default=True),
    st.Page("screens/library.py", title="Library"),
    st.Page("screens/service.py", title="Service"),
    st.Page("screens/about.py", title="About"),
]
reached_by_link = [
    st.Page("screens/result.py", title="Result"),
    st.Page("screens/compare.py", title="Compare"),
]
# Streamlit's own menu hides behind a button on a phone; four links fit every width.
page = st.navigation(listed + reached_by_link, position="hidden")
st.html(STYLE)
with st.container(horizontal=True, key="menu"):
    for entry in listed:
        st.page_link(entry)
body = st.container()
# Filled first: a page may end the script, or leave for another.
with st.container():
    st.divider()
    show_last_answer()
with body:
    page.run()
