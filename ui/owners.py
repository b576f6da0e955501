"""Whose clips are whose. Pages, routes and the HTTP API have the same type of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

CLIENT_HEADER = "x-vemoclap-client"
"""Set by the gateway alone, which takes it out of what comes from outside: whose token it was."""
NO_TOKEN = "the gateway does not say whose token this request has"
"""What is said where the header is missing."""


@dataclass(frozen=True)
class Owner:
    """Who adds clips and sees those that they added, and no others.

    Attributes:
        key: what is stored and compared: 64 hexadecimal digits, the SHA-256 of who it is, so that
            nobody's name is in the database or in the name of a file. Empty: EVERYONE.
    """

    key: str

    @classmethod
    def from_user(cls, issuer: str, subject: str) -> Self:
        """A person who is signed in.

        Args:
            issuer: claim `iss` of the identity token: the provider's address.
            subject: claim `sub`: who it is for this provider, which never gives it to another
                person. An e-mail address can change hands, so it is not used.
        """
        return cls(_digest("user", issuer, subject))

    @classmethod
    def from_token(cls, name: str) -> Self:
        """Who comes through the gateway, by the name of its token; it is never a user's."""
        return cls(_digest("token", name))

    @property
    def tag(self) -> str:
        """The key as a part of a file's name."""
        return self.key or "everyone"

    @property
    def is_everyone(self) -> bool:
        """Whether nobody in particular is meant."""
        return not self.key


EVERYONE = Owner("")
"""Where nobody says who they are: sees every clip; the clips that it adds have no owner."""


def owner_by_gateway(headers: Mapping[str, str]) -> Owner | None:
    """Whose a request through the gateway is; None: it does not say. Case does not count."""
    name = headers.get(CLIENT_HEADER, "")
    return Owner.from_token(name) if name else None


def _digest(*parts: str) -> str:
    # As JSON, so that no two lists of parts give the same bytes.
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
