"""How one page leads to another."""

from collections.abc import Mapping

import streamlit as st
from streamlit.navigation.page import Page


class Pages:
    """The app's pages by name: analyze, library, service, about, result, compare."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        """For these pages; the mapping may be filled later."""
        self._pages = pages

    def open(self, name: str, **query: str) -> None:
        """Ends this page and opens another, e.g. open("result", id=job.id)."""
        st.switch_page(self._pages[name], query_params=query)

    def link(self, name: str, label: str | None = None, **query: str) -> None:
        """Shows a link to a page, with the page's title where no label is given."""
        st.page_link(self._pages[name], label=label, query_params=query)

    def link_button(self, name: str, label: str, explanation: str, **query: str) -> None:
        """Shows a link to a page that looks like a button.

        For pages that draw themselves at an interval. Streamlit's page stops the intervals where
        a link is followed; where a button has the server call `open`, the page may ask to be drawn
        once more when the other page is begun, and then shows nothing.
        """
        with st.container(key=f"link-button-{name}", width="content"):
            st.page_link(self._pages[name], label=label, query_params=query, help=explanation)
