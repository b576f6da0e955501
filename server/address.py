"""The host and ports at which a server listens."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from server.errors import PortInUseError, UsageError
from vemoclap_client.channels import is_loopback_host

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Address:
    """Hosts and ports; a port of 0 asks for a free one.

    Attributes:
        host: where gRPC listens.
        http_host: where HTTP and metrics listen, which Triton cannot encrypt.
    """

    host: str = LOOPBACK
    grpc_port: int = 8001
    http_port: int = 8000
    metrics_port: int = 8002
    http_host: str = LOOPBACK

    @property
    def ports(self) -> dict[str, int]:
        """Port by the name that Triton's arguments give it."""
        return {"grpc": self.grpc_port, "http": self.http_port, "metrics": self.metrics_port}

    @property
    def hosts(self) -> dict[str, str]:
        """Host by the same names."""
        return {"grpc": self.host, "http": self.http_host, "metrics": self.http_host}

    @property
    def grpc_url(self) -> str:
        """host:port for gRPC clients on this machine."""
        return f"{_reachable(self.host)}:{self.grpc_port}"

    @property
    def metrics_url(self) -> str:
        """The metrics' URL for clients on this machine."""
        return f"http://{_reachable(self.http_host)}:{self.metrics_port}/metrics"

    @property
    def is_for_this_machine(self) -> bool:
        """Whether no other machine can connect."""
        return all(map(is_loopback_host, self.hosts.values()))

    @contextmanager
    def reserved(self) -> Iterator["Address"]:
        """The same with every 0 replaced by a free port; keeps others off all ports meanwhile.

        A socket that is bound and does not listen keeps a port from who asks for any free one, and
        from who does not set SO_REUSEADDR. Triton sets it, and can listen there.

        Raises:
            PortInUseError: a given port is taken, or given twice.
            UsageError: there is no such host or port here.
        """
        taken = [port for port in self.ports.values() if port]
        if len(taken) > len(set(taken)):
            raise PortInUseError(f"gRPC, HTTP and metrics need ports of their own, not {taken}.")
        with ExitStack() as held:
            probes = {
                name: held.enter_context(_bind(self.hosts[name], name, port))
                for name, port in self.ports.items()
            }
            ports = {f"{name}_port": probe.getsockname()[1] for name, probe in probes.items()}
            yield replace(self, **ports)


def _reachable(host: str) -> str:
    """The host to connect to, as a URL has it: "every address" is one to listen at."""
    known = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)
    return f"[{known}]" if ":" in known else known


def _bind(host: str, name: str, port: int) -> socket.socket:
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    # Without this, connections of an earlier server that still linger would look like a taker.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host, port))
    except (OSError, OverflowError, UnicodeError) as error:
        probe.close()
        failure = f"cannot listen on {host}:{port} for {name} ({error})."
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"{failure} Stop what listens there, or choose another port: --{name}-port 0 takes "
                "a free one."
            ) from error
        raise UsageError(f"{failure} Choose another --host or --{name}-port.") from error
    return probe
