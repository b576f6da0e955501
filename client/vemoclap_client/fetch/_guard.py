"""What the process that downloads may reach: public addresses, so many bytes, one program.

A link is not trusted: it, a redirect or a name's address may lead to what only this machine can
reach. Checking names before they are used does not help, as they can be answered differently
the next time. So the interpreter itself is asked: its audit hook sees the address of every
connection just before it is made, whoever makes it.
"""

import socket
import sys
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

Network = IPv4Network | IPv6Network

NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's virtual machines find their host there
        "169.254.0.0/16",  # link-local; clouds keep their machines' secrets there
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # Teredo, ORCHID and other protocols' own
        "2001:db8::/32",
        "2002::/16",  # 6to4: carries any IPv4 address
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
"""Source: IANA's registries of special-purpose addresses, IPv4 and IPv6."""

PUBLIC_IPV6 = IPv6Network("2000::/3")
"""All that is given out so far. NAT64 and IPv4-mapped addresses lie outside."""

PROBED_PORT = 9
CONNECTING = ("socket.connect", "socket.sendto", "socket.sendmsg")

FORBIDDEN = (
    "ftplib.connect",
    "os.exec",
    "os.forkpty",
    "os.posix_spawn",
    "os.system",
    "pty.spawn",
    "smtplib.connect",
    "telnetlib.Telnet.open",
)
"""Audit events that nothing has a reason to raise."""

PROGRAM = "deno"
"""The one program that may be started: it runs YouTube's JavaScript, without network or files."""


class AddressRefused(BaseException):
    """A connection was refused. Not an Exception, so that nothing on the way retries."""


class TooManyBytes(BaseException):
    """More came than is allowed, over all connections."""


def is_public(address: str) -> bool:
    """Whether an IP address, as text, is one that anybody can reach; False for all other text."""
    try:
        known = ip_address(address)
    except ValueError:
        return False
    if known.version == 6 and known not in PUBLIC_IPV6:
        return False
    return not any(known in network for network in NOT_PUBLIC)


class Guard:
    """Watches this process. What it refuses ends the download."""

    def __init__(self, *, allow_private: bool, networks: Iterable[str], max_bytes: int) -> None:
        """Watches nothing yet.

        Args:
            allow_private: whether every IP address is allowed.
            networks: are allowed besides the public addresses.
            max_bytes: how many may come over all connections.
        """
        self._allow_private = allow_private
        self._networks = [ip_network(text) for text in networks]
        self._max_bytes = max_bytes
        self._is_probing = False
        self.bytes_received = 0
        self.refused: str | None = None

    def install(self) -> None:
        """Watches from now on; this cannot be taken back."""
        sys.addaudithook(self._check)
        self._count_bytes()

    def permits(self, family: int, address: object) -> bool:
        """Whether a socket of this family may talk to this address."""
        if family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
            return False
        host = address[0]
        # A name would be looked up after this check.
        if not isinstance(host, str) or not is_ip_address(host):
            return False
        if self._allow_private or self._is_in_networks(host):
            return True
        return is_public(host) and not self._is_own(family, host)

    def _is_own(self, family: int, host: str) -> bool:
        """Whether it is an address of this machine, whose services a firewall may keep from others.

        The system connects to those from the same address. Nothing is sent.
        """
        self._is_probing = True
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((host, PROBED_PORT))
                return bool(ip_address(probe.getsockname()[0]) == ip_address(host))
        except OSError:  # There is no way to it, for a connection either.
            return False
        finally:
            self._is_probing = False

    def _is_in_networks(self, host: str) -> bool:
        return any(ip_address(host) in network for network in self._networks)

    def _check(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in CONNECTING:
            if not self._is_probing:
                self._check_address(*arguments)
        elif event == "subprocess.Popen" and Path(arguments[0]).stem != PROGRAM:
            raise PermissionError(f"no other program may be started: {arguments[0]}")
        elif event in FORBIDDEN:
            raise PermissionError(f"{event} is not allowed")

    def _check_address(self, of: socket.socket, address: object) -> None:
        # sendmsg on a connected socket names no address.
        if address is not None and not self.permits(of.family, address):
            self.refused = str(address[0] if isinstance(address, tuple) else address)
            raise AddressRefused(self.refused)

    def _count_bytes(self) -> None:
        """Counts where every HTTP connection reads from, encrypted or not."""
        read = socket.SocketIO.readinto

        def counted(stream: socket.SocketIO, buffer: Any) -> int | None:
            count = read(stream, buffer)
            self.bytes_received += count or 0
            if self.bytes_received > self._max_bytes:
                raise TooManyBytes
            return count

        setattr(socket.SocketIO, "readinto", counted)  # noqa: B010 (mypy: a method)


def is_ip_address(text: str) -> bool:
    """Whether it is an IP address rather than a name."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
