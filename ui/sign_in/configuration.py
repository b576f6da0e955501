"""Whether people sign in, and with whom: section [auth] of Streamlit's secrets.

What is there but cannot be used stops the start: otherwise a slip in a file would open every clip
to everyone.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from streamlit.auth_util import get_origin_from_redirect_uri, validate_auth_credentials
from streamlit.config import is_manually_set
from streamlit.errors import StreamlitAuthError

from ui.settings import SettingsError

DEFAULT_PROVIDER = "default"
"""Streamlit's name of the provider whose keys stand in [auth] itself."""

COOKIE_SECRET_MIN = 32
"""Letters: as many as 128 random bits have in hexadecimal. Who guesses it can be anyone."""

THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def read_providers() -> tuple[str, ...]:
    """The names of the providers that people sign in with; none where nobody signs in.

    Call it once Streamlit has read its settings, which say where its secrets are.

    Raises:
        SettingsError: there are secrets, but they cannot be used to sign in.
    """
    _check_readable(st.get_option("secrets.files"), is_manually_set("secrets.files"))
    if not st.secrets.load_if_toml_exists() or "auth" not in st.secrets:
        return ()
    section = st.secrets["auth"]
    if not isinstance(section, Mapping):
        raise SettingsError("[auth] in Streamlit's secrets is not a section with keys")
    named = tuple(name for name, value in section.items() if _is_provider(value))
    providers = (DEFAULT_PROVIDER, *named) if "client_id" in section or not named else named
    _check(section, providers)
    return providers


def origin() -> str:
    """The app's address as browsers know it, of `redirect_uri`; the cookie holds it, too."""
    return get_origin_from_redirect_uri() or ""


def _is_provider(value: Any) -> bool:
    return isinstance(value, Mapping) and "client_id" in value


def _check_readable(files: Iterable[str], are_named: bool) -> None:
    """Streamlit takes secrets that are not there, or that it cannot read, for none.

    Args:
        are_named: whether somebody has named the files, so that each has to be there.
    """
    for file in files:
        if are_named and not os.access(file, os.R_OK):
            raise SettingsError(f"the secrets in {file} are not there, or may not be read")
        if os.access(file, os.F_OK) and not st.secrets.load_if_toml_exists():
            raise SettingsError(f"the secrets in {file} cannot be parsed: correct them")


def _check(section: Mapping[str, Any], providers: Iterable[str]) -> None:
    try:
        import authlib.integrations.starlette_client  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "[auth] in Streamlit's secrets needs the packages Authlib and httpx"
        ) from error
    try:
        for provider in providers:
            validate_auth_credentials(provider)
    except StreamlitAuthError as error:
        raise SettingsError(f"[auth] in Streamlit's secrets cannot be used: {error}") from error
    if len(str(section["cookie_secret"])) < COOKIE_SECRET_MIN:
        raise SettingsError(
            f"cookie_secret of [auth] is shorter than {COOKIE_SECRET_MIN} letters; "
            "`openssl rand -hex 32` makes a good one"
        )
    address = urlsplit(origin())
    if address.scheme != "https" and address.hostname not in THIS_MACHINE:
        raise SettingsError(
            "redirect_uri of [auth] must begin with https://, but for localhost: over http "
            "everyone on the way can read who is signed in, and be them"
        )
