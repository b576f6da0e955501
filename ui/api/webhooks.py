"""Sends a document to a webhook: signed, to a public address, without following redirects.

The signature is that of standardwebhooks.com; many languages have a library that checks it.
"""

import base64
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from ui.settings import SECRET_PREFIX, Settings
from vemoclap_client.errors import AddressRefusedError, BadLinkError
from vemoclap_client.fetch import check_link, is_ip_address, is_public

TIMEOUT_S = 10.0
"""For a connection, and for each piece of the answer."""

DEADLINE_S = 30.0
"""For all of it. Looking up the name counts but is not cut short: the system limits it."""

URL_MAX = 2000


class WebhookError(Exception):
    """A webhook could not be told."""


class WebhookRefusedError(WebhookError):
    """The receiver says that it wants nothing more (410)."""


class NoWebhooksError(BadLinkError):
    """This app has no secret to sign with."""


def check_webhook(url: str, settings: Settings) -> None:
    """Returns if a URL can be a webhook, as far as its text shows.

    Raises:
        NoWebhooksError: there is no secret to sign with.
        BadLinkError: it is no https URL, is too long, or holds a password.
        AddressRefusedError: it is an address that is not public.
    """
    if not settings.webhook_secret:
        raise NoWebhooksError("this app sends no webhooks: it has no $VEMOCLAP_WEBHOOK_SECRET")
    shown, parts = check_link(url), urlsplit(url)
    if len(url) > URL_MAX or "@" in parts.netloc or not url.isascii():
        raise BadLinkError(
            f"{shown[:200]} cannot be a webhook: it is too long, holds a password or letters that "
            "are not ASCII"
        )
    if _is_allowed(parts, settings):
        return
    if parts.scheme != "https":
        raise BadLinkError(f"{url} cannot be a webhook: it must begin with https://")
    host = parts.hostname or ""
    if is_ip_address(host) and not is_public(host):
        raise _refused(url, host)


def sign(secret: str, identifier: str, timestamp: int, body: bytes) -> str:
    """The value of the header webhook-signature.

    Args:
        secret: see Settings.webhook_secret.
        identifier: of the message, the same in every try.
        timestamp: when it is sent, in seconds since 1970.
    """
    content = f"{identifier}.{timestamp}.".encode() + body
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def send(url: str, identifier: str, body: bytes, settings: Settings) -> None:
    """Sends a JSON document.

    Raises:
        AddressRefusedError: the name leads to an address that is not public.
        WebhookError: it was not taken: there is no answer, or none of 200 to 299.
    """
    ends_at = time.monotonic() + DEADLINE_S
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "vemoclap",
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(settings.webhook_secret, identifier, timestamp, body),
    }
    parts = urlsplit(url)
    connection = _connect(url, parts, settings, ends_at)
    # A receiver may answer a byte at a time, also while it agrees on keys.
    deadline = threading.Timer(max(0.0, ends_at - time.monotonic()), _cut, (connection.sock,))
    deadline.daemon = True
    deadline.start()
    try:
        _agree_on_keys(connection.sock)
        connection.request("POST", _target(parts), body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise WebhookError(f"no answer: {error or type(error).__name__}") from error
    finally:
        deadline.cancel()
        connection.close()
    if status == http.HTTPStatus.GONE:
        raise WebhookRefusedError("the answer was 410 Gone")
    if not 200 <= status < 300:
        raise WebhookError(f"the answer was {status}")


def _connect(
    url: str, parts: SplitResult, settings: Settings, ends_at: float
) -> http.client.HTTPConnection:
    """A connection to an address that was checked: the name is not looked up again.

    Nothing was sent over it yet.
    """
    host = parts.hostname or ""
    is_secure = parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        private = [address for address in addresses if not is_public(address)]
        if private and not _is_allowed(parts, settings):
            raise _refused(url, private[0])
        sock = _open(addresses, port, ends_at)
        if is_secure:
            sock = ssl.create_default_context().wrap_socket(
                sock, server_hostname=host, do_handshake_on_connect=False
            )
    except (OSError, UnicodeError) as error:
        raise WebhookError(f"no connection: {error}") from error
    kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
    connection = kind(host, port, timeout=TIMEOUT_S)
    connection.sock = sock
    connection.auto_open = 0
    return connection


def _open(addresses: list[str], port: int, ends_at: float) -> socket.socket:
    """A connection to the first of these addresses that takes one."""
    failure: OSError = TimeoutError("looking up the name took too long")
    for address in addresses:
        left_s = ends_at - time.monotonic()
        if left_s <= 0:
            break
        try:
            # Half of what is left, so that however many addresses leave time for what follows.
            sock = socket.create_connection((address, port), min(TIMEOUT_S, left_s / 2))
        except OSError as error:
            failure = error
        else:
            sock.settimeout(TIMEOUT_S)
            return sock
    raise failure


def _agree_on_keys(sock: socket.socket) -> None:
    if isinstance(sock, ssl.SSLSocket):
        try:
            sock.do_handshake()
        except OSError as error:
            raise WebhookError(f"no connection: {error}") from error


def _is_allowed(parts: SplitResult, settings: Settings) -> bool:
    return (parts.hostname or "").lower() in settings.webhook_hosts


def _refused(url: str, address: str) -> AddressRefusedError:
    return AddressRefusedError(
        f"{url}: this leads to {address}, which is not a public address. Whoever runs the app can "
        "allow the host with $VEMOCLAP_WEBHOOK_HOSTS."
    )


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        # The plain one: that of an SSLSocket takes the keys away from who is reading.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
