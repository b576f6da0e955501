"""The page of those who have to sign in, and what the others see of their session."""

from collections.abc import Mapping

import streamlit as st

from ui.owners import NO_TOKEN
from ui.parts.markdown import plain
from ui.sign_in.configuration import DEFAULT_PROVIDER
from ui.sign_in.identity import SignIn

CHECK_EVERY_S = 15.0
"""A session may end while its page is open: by its time, or in another tab."""


def show_sign_in(sign_in: SignIn) -> None:
    """A button for each provider; most have one. Without any, what is missing instead."""
    if not sign_in.is_required:
        st.error(f"There is nothing to show: {NO_TOKEN}.", icon=":material/error:")
        return
    st.title("Sign in")
    st.markdown(
        "This app computes which emotion a video conveys. Each person sees their own clips here, "
        "and nobody else’s. Sign in to see yours."
    )
    for provider in sign_in.providers:
        is_only = provider == DEFAULT_PROVIDER
        label = "Sign in" if is_only else f"Sign in with {plain(provider)}"
        if st.button(label, type="primary", key=f"sign-in-{provider}"):
            st.login(provider)


def show_account(sign_in: SignIn, claims: Mapping[str, object]) -> None:
    """Who is signed in, and a button that ends it; nothing where nobody signs in."""
    session = sign_in.session(claims) if sign_in.is_required else None
    if session is None:
        return
    if session.name:
        st.caption(f"Signed in as {plain(session.name)}")
    if st.button("Sign out"):
        sign_in.sign_out(session)
        st.logout()
        st.stop()  # A rerun could begin before the browser has got the address to go to.
    st.fragment(_check_session, run_every=CHECK_EVERY_S)(sign_in, claims)


def _check_session(sign_in: SignIn, claims: Mapping[str, object]) -> None:
    if sign_in.session(claims) is None:
        st.rerun()
