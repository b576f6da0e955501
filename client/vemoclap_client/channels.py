"""This package's gRPC channels: servers, credentials, proxies, message sizes, reconnection.

A url is host:port, or several of them separated by commas. A name may have several addresses, such
as that of a headless service of Kubernetes. Requests go to all servers in turn; one to which there
is no connection is left out until there is one again.
"""

import json
import os
import socket
from ipaddress import ip_address
from typing import Any

import grpc

from vemoclap_client.credentials import Credentials
from vemoclap_client.errors import ServerUnavailableError

ChannelOptions = list[tuple[str, int | str]]

DEFAULT_URL = "127.0.0.1:8001"

PORT_MAX = 65_535

CONNECT_TIMEOUT_MS = 20_000
"""How long one attempt to connect may last, which is what gRPC uses its shortest pause for: a busy
server takes a while, and one that is not there refuses at once."""

RECONNECT_AT_MOST_MS = 500
"""Longest pause between two attempts to connect: a server that is back is used within a second.
gRPC's own pause grows to two minutes."""

LOOK_UP_AGAIN_MS = 2_000
"""Shortest time between two look-ups of a name, which follow a lost connection: a server that is
back has another address in Kubernetes. gRPC's own is half a minute."""

SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})


def default_url() -> str:
    """$VEMOCLAP_URL, else 127.0.0.1:8001."""
    return os.environ.get("VEMOCLAP_URL") or DEFAULT_URL


def check_url(url: str) -> None:
    """Returns if `url` has a form that gRPC can use.

    Raises:
        ServerUnavailableError: it has not.
    """
    addresses = split(url)
    if "://" in url or (len(addresses) > 1 and not all(map(_has_port, addresses))):
        raise ServerUnavailableError(
            f"{url!r} is not an address that gRPC can use: give host:port alone, or several with "
            "commas between them."
        )


def split(url: str) -> list[str]:
    """The addresses that a url consists of."""
    return [address.strip() for address in url.split(",")]


def _has_port(address: str) -> bool:
    host, _, port = address.rpartition(":")
    is_number = port.isascii() and port.isdigit() and len(port) <= len(str(PORT_MAX))
    return bool(host) and is_number and 1 <= int(port) <= PORT_MAX


def connection(
    url: str, credentials: Credentials | None = None, *, in_turn: bool = True
) -> dict[str, Any]:
    """The arguments of tritonclient's clients of these servers.

    Args:
        url: the servers.
        credentials: by default those that the environment names.
        in_turn: see channel_options.

    Raises:
        ServerUnavailableError: as channel_target.
        CertificateError, AccessDeniedError: as Credentials.to_grpc.
    """
    credentials = Credentials.read() if credentials is None else credentials
    return {
        "url": channel_target(url),
        "creds": credentials.to_grpc(),
        "channel_args": [*channel_options(url, in_turn), *name_options(url, credentials)],
    }


def open_channel(url: str, credentials: Credentials | None, in_: Any = grpc) -> Any:
    """A channel to these servers, of the module grpc or grpc.aio; arguments as of `connection`."""
    found = connection(url, credentials)
    if found["creds"] is None:
        return in_.insecure_channel(found["url"], found["channel_args"])
    return in_.secure_channel(found["url"], found["creds"], found["channel_args"])


def name_options(url: str, credentials: Credentials) -> ChannelOptions:
    """Whose certificate is expected, where gRPC cannot take it from the target."""
    addresses = split(url)
    of_first = addresses[0].rpartition(":")[0].strip("[]") if len(addresses) > 1 else None
    name = credentials.name or of_first
    return [("grpc.ssl_target_name_override", name)] if name else []


def channel_target(url: str) -> str:
    """What gRPC connects to.

    gRPC looks up a name by itself, and again when a connection was lost. It takes several
    addresses only as numbers: names among them are looked up here, once, and one that is not known
    is left out.

    Raises:
        ServerUnavailableError: none of several names is known.
    """
    addresses = split(url)
    if len(addresses) == 1:
        return addresses[0]
    found = dict.fromkeys(pair for address in addresses for pair in _look_up(address))
    if not found:
        raise ServerUnavailableError(f"no host of {url} is known. Check --url or $VEMOCLAP_URL.")
    if all(":" not in host for host, _ in found):
        return "ipv4:" + ",".join(f"{host}:{port}" for host, port in found)
    hosts = ((host if ":" in host else f"::ffff:{host}", port) for host, port in found)
    return "ipv6:" + ",".join(f"[{host}]:{port}" for host, port in hosts)


def _look_up(address: str) -> list[tuple[str, int]]:
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError):  # ValueError: no name can be so.
        return []
    return [(str(where[0]), int(where[1])) for *_, where in found]


def channel_options(url: str, in_turn: bool = True) -> ChannelOptions:
    """The options of a gRPC channel to these servers, as tritonclient and grpc take them.

    Args:
        url: the servers.
        in_turn: ask all of them in turn, not always the first that answers.
    """
    options: ChannelOptions = [
        # Raw frames are more than gRPC's limit of 4 MB.
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT_MS),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_AT_MOST_MS),
        ("grpc.dns_min_time_between_resolutions_ms", LOOK_UP_AGAIN_MS),
    ]
    if in_turn:
        options.append(("grpc.service_config", SERVICE_CONFIG))
    if all(map(is_loopback, split(url))):
        # $http_proxy is for other machines (grpc#29718).
        options.append(("grpc.enable_http_proxy", 0))
    return options


def is_loopback(address: str) -> bool:
    """Whether host:port is on this machine; see is_loopback_host."""
    return is_loopback_host(address.rpartition(":")[0].strip("[]"))


def is_loopback_host(host: str) -> bool:
    """Whether a host is this machine; names but "localhost" are not looked up."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
