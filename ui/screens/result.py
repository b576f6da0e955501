"""One clip: how far the work on it is, and what came out, laid out for looking."""

from ui.views.result_page import show_result_page

show_result_page()
