"""A signed-in person's session, from the claims of the identity token."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from ui.owners import Owner

SECONDS_PER_HOUR = 3600
NAMES = ("name", "preferred_username", "email")
"""Claims that people know themselves by, the best first."""


@dataclass(frozen=True)
class Session:
    """The time from a sign-in to its end.

    Attributes:
        id: of this sign-in: the SHA-256 of what its token says of it.
        owner: whose clips it may see.
        name: what the person is called; for the page alone, empty if the token has none.
        ends_at: in seconds since 1970.
    """

    id: str
    owner: Owner
    name: str
    ends_at: float


def parse_session(claims: Mapping[str, object], hours: int) -> Session | None:
    """The session of these claims; None if they are nobody's.

    Args:
        claims: of the identity token, as st.user and Streamlit's cookie have them.
        hours: how long after its sign-in a session ends.
    """
    issuer, subject, issued_at = claims.get("iss"), claims.get("sub"), claims.get("iat")
    if claims.get("is_logged_in") is not True:
        return None
    if not isinstance(issuer, str) or not isinstance(subject, str) or not (issuer and subject):
        return None
    if not isinstance(issued_at, int | float):
        return None
    token = json.dumps([issuer, subject, issued_at, claims.get("nonce")], default=str)
    found = (claims.get(name) for name in NAMES)
    return Session(
        id=hashlib.sha256(token.encode()).hexdigest(),
        owner=Owner.from_user(issuer, subject),
        name=next((name for name in found if isinstance(name, str) and name), ""),
        ends_at=issued_at + hours * SECONDS_PER_HOUR,
    )
