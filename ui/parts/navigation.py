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
        """Ends this page and opens another, e.g. open("result", id=job.id).

        A page that draws itself at an interval had better show a link: following one stops the
        intervals, but here the browser may ask for a last drawing of this page when the other is
        begun, and then shows an empty page.
        """
        st.switch_page(self._pages[name], query_params=query)

    def link(self, name: str, label: str | None = None, **query: str) -> None:
        """Shows a link to a page, with the page's title where no label is given."""
        st.page_link(self._pages[name], label=label, query_params=query)
