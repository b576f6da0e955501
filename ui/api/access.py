"""Keeps other sites' pages in a browser away from the API: it is for programs.

A page of any site can send requests to this machine, and read the answers if it makes its own name
resolve to this machine's address. It cannot hide where it comes from, though.
"""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from vemoclap_client.fetch import is_ip_address

READING = ("GET", "HEAD", "OPTIONS")
FROM_PAGES = ("origin", "sec-fetch-site")
"""Headers that browsers send along with what a page does, and that no page can remove."""


def check_access(method: str, headers: Headers, hosts: frozenset[str]) -> None:
    """Returns if a request does not come from another site's page.

    Args:
        hosts: names that this app is called by, besides IP addresses and localhost.

    Raises:
        HTTPException: 403.
    """
    host = _without_port(headers.get("host", ""))
    if not _is_ours(host, hosts):
        raise HTTPException(
            403,
            f"this app is not known as {host!r}: call it by an IP address or as localhost, or have "
            "the name added to $VEMOCLAP_API_HOSTS",
        )
    if method not in READING and any(name in headers for name in FROM_PAGES):
        raise HTTPException(403, "pages in a browser may not add or delete clips through the API")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _is_ours(host: str, hosts: frozenset[str]) -> bool:
    return host == "localhost" or host in hosts or is_ip_address(host)
