"""Sends a document to a webhook: signed, to a public address, without following redirects.

The signature is that of standardwebhooks.com, for whose check there are libraries in many languages.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ui.settings import Settings
from vemoclap_client.errors import AddressRefusedError, BadLinkError
from vemoclap_client.fetch import check_link, is_ip_address, is_public

SECRET_PREFIX = "whsec_"
TIMEOUT_S = 10.0
"""For a connection, and for each piece of the answer."""

DEADLINE_S = 30.0
"""For all of it."""

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
    shown = check_link(url)
    parts = urlsplit(url)
    if len(url) > URL_MAX or shown != url:
        raise BadLinkError(f"{shown[:200]} cannot be a webhook: it is too long or holds a password")
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
        secret: "whsec_" and base64, or any other text.
        identifier: of the message, the same in every try.
        timestamp: when it is sent, in seconds since 1970.
    """
    content = f"{identifier}.{timestamp}.".encode() + body
    digest = hmac.new(_key(secret), content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def send(url: str, identifier: str, body: bytes, settings: Settings) -> None:
    """Sends a JSON document.

    Raises:
        AddressRefusedError: the name leads to an address that is not public.
        WebhookError: it was not taken: there is no answer, or none of 200 to 299.
    """
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "vemoclap",
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(settings.webhook_secret, identifier, timestamp, body),
    }
    parts = urlsplit(url)
    connection = _connect(url, parts, settings)
    # A receiver may answer a byte at a time.
    deadline = threading.Timer(DEADLINE_S, _cut, (connection.sock,))
    deadline.daemon = True
    deadline.start()
    try:
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


def _connect(url: str, parts: SplitResult, settings: Settings) -> http.client.HTTPConnection:
    """A connection to an address that was checked: the name is not looked up again."""
    host = parts.hostname or ""
    is_secure = parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [entry[4] for entry in found]
        if not _is_allowed(parts, settings):
            for address in addresses:
                if not is_public(str(address[0])):
                    raise _refused(url, str(address[0]))
        sock = socket.create_connection(addresses[0][:2], TIMEOUT_S)
        if is_secure:
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
    except OSError as error:
        raise WebhookError(f"no connection: {error}") from error
    # A connection that has its socket makes none of its own.
    connection = http.client.HTTPConnection(host, port, TIMEOUT_S)
    connection.sock = sock
    return connection


def _is_allowed(parts: SplitResult, settings: Settings) -> bool:
    return (parts.hostname or "").lower() in settings.webhook_hosts


def _refused(url: str, address: str) -> AddressRefusedError:
    return AddressRefusedError(
        f"{url}: this leads to {address}, which is not a public address. Whoever runs the app can "
        "allow the host with $VEMOCLAP_WEBHOOK_HOSTS."
    )


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _cut(sock: Any) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def _key(secret: str) -> bytes:
    if secret.startswith(SECRET_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
