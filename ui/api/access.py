"""Who asks the app or its API, and that it is no page of another site in somebody's browser.

A page of any site can send requests to this machine, and read the answers if it makes its own name
resolve to this machine's address. It cannot hide where it comes from, though.
"""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from ui.owners import EVERYONE, NO_TOKEN, Owner, owner_by_gateway
from ui.settings import Settings
from vemoclap_client.fetch import is_ip_address

READING = ("GET", "HEAD", "OPTIONS")
FROM_PAGES = ("origin", "sec-fetch-site")
"""Headers that browsers send along with what a page does, and that no page can remove."""


def owner_of(headers: Headers, settings: Settings, *, is_sign_in_required: bool = False) -> Owner:
    """Whose clips a request is about.

    Args:
        is_sign_in_required: whether people sign in to the app's pages. Who cannot be told apart
            then gets nothing.

    Raises:
        HTTPException: 401, it is not known who asks.
    """
    if settings.is_behind_gateway:
        owner = owner_by_gateway(headers)
        if owner is None:
            raise HTTPException(401, NO_TOKEN)
        return owner
    if is_sign_in_required:
        raise HTTPException(401, "people sign in to this app; programs need the gateway's token")
    return EVERYONE


def check_host(headers: Headers, settings: Settings) -> None:
    """Returns if a request calls the app by a name of its own.

    Raises:
        HTTPException: 403.
    """
    host = _without_port(headers.get("host", ""))
    # The gateway's certificate is for its own name alone.
    if not settings.is_behind_gateway and not _is_ours(host, settings.hosts):
        raise HTTPException(
            403,
            f"this app is not known as {host!r}: call it by an IP address or as localhost, or have "
            "the name added to $VEMOCLAP_API_HOSTS",
        )


def check_access(method: str, headers: Headers, settings: Settings) -> None:
    """Returns if a request to the API does not come from another site's page.

    Raises:
        HTTPException: 403.
    """
    check_host(headers, settings)
    if method not in READING and any(name in headers for name in FROM_PAGES):
        raise HTTPException(403, "pages in a browser may not add or delete clips through the API")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _is_ours(host: str, hosts: frozenset[str]) -> bool:
    return host == "localhost" or host in hosts or is_ip_address(host)
