"""Text of unknown origin in Streamlit's Markdown."""

import re

SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$&])")


def plain(text: str) -> str:
    """The text as Markdown that shows it as it is: a file's name must not become a link."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
