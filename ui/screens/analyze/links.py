"""Checks of a link without following it."""

from urllib.parse import urlsplit

from ui.parts.markdown import plain

SCHEMES = ("http", "https")
LETTERS_MAX = 2000
LETTERS_SHOWN = 100


def objection_to(link: str) -> str | None:
    """Why a link cannot be used, as far as its text shows; None if it can."""
    if not link:
        return "There is no link yet. Paste one into the field, then press the button again."
    reason = _what_is_wrong(link)
    shown = link if len(link) <= LETTERS_SHOWN else f"{link[:LETTERS_SHOWN]}…"
    return f"{plain(shown)} cannot be used: {reason}." if reason else None


def _what_is_wrong(link: str) -> str | None:
    if len(link) > LETTERS_MAX:
        return f"it is longer than {LETTERS_MAX} letters"
    if any(letter.isspace() for letter in link):
        return "there is a space in it"
    try:
        parts = urlsplit(link)
    except ValueError:
        return "it is not a web address"
    if parts.scheme not in SCHEMES:
        return "a link begins with https:// or http://"
    if not parts.hostname:
        return "it names no site"
    if parts.username is not None:
        return "it holds a password, which everyone who opens the Library could read"
    return None
