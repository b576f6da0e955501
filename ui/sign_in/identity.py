"""Says whose a page or a request is: the one place that decides it.

A page has st.user. A route has Streamlit's cookie alone. Streamlit 1.67 has no public function that
reads it, so `_read_cookie` calls those of its modules that Streamlit's own socket calls. When
another release moves them, the app does not start; when it changes the cookie, nobody is signed in.
A token in each address, made by the page, would need none of this. But it would be in histories and
logs, and would still open the clip after its owner has signed out.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from ui.owners import EVERYONE, Owner, owner_by_gateway
from ui.sign_in.ended import EndedSessions
from ui.sign_in.session import Session, parse_session


@dataclass(frozen=True)
class SignIn:
    """Who has to sign in, and who is.

    Attributes:
        providers: Streamlit's names of those that people sign in with; none: nobody signs in, and
            everyone sees every clip, but behind the gateway those of their token.
        origin: the app's address, which a cookie must name.
        hours: how long after its sign-in a session ends.
        ended: the sessions whose people have signed out.
        is_behind_gateway: whether the gateway says whose token a request has.
    """

    providers: tuple[str, ...]
    origin: str
    hours: int
    ended: EndedSessions
    is_behind_gateway: bool = False
    now: Callable[[], float] = time.time

    @property
    def is_required(self) -> bool:
        """Whether people sign in."""
        return bool(self.providers)

    def session(self, claims: Mapping[str, object]) -> Session | None:
        """The session of st.user's claims; None if nobody is signed in, or no longer."""
        session = parse_session(claims, self.hours)
        if session is None or session.ends_at <= self.now() or session.id in self.ended:
            return None
        return session

    def owner_of_page(
        self, claims: Mapping[str, object], headers: Mapping[str, str]
    ) -> Owner | None:
        """Whose clips a page may show; None: those of nobody.

        Args:
            claims: of st.user.
            headers: of the request that opened the page's WebSocket.
        """
        if not self.is_required:
            return owner_by_gateway(headers) if self.is_behind_gateway else EVERYONE
        session = self.session(claims)
        return session.owner if session else None

    def owner_of_request(
        self, cookies: Mapping[str, str], headers: Mapping[str, str]
    ) -> Owner | None:
        """Whose clips a request with these cookies and headers may see; None: those of nobody."""
        claims = _read_cookie(cookies) if self.is_required else {}
        if self.is_required and claims.get("origin") != self.origin:
            return None
        return self.owner_of_page(claims, headers)

    def sign_out(self, session: Session) -> None:
        """Ends a session, also in other tabs and for copies of its cookie."""
        self.ended.add(session.id, session.ends_at)


def _read_cookie(cookies: Mapping[str, str]) -> Mapping[str, object]:
    """The claims in Streamlit's cookie; none where its signature is missing, wrong or too old."""

    def read(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(get_cookie_secret(), name, value) if value else None

    content = get_cookie_with_chunks(read, USER_COOKIE_NAME)
    try:
        claims = json.loads(content or b"{}")
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
