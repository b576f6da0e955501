"""The host and ports at which a server listens."""

import socket
from dataclasses import dataclass

from server.errors import PortInUseError


@dataclass(frozen=True)
class Address:
    """Host and ports; a port of 0 asks for a free one."""

    host: str = "127.0.0.1"
    grpc_port: int = 8001
    http_port: int = 8000
    metrics_port: int = 8002

    @property
    def ports(self) -> dict[str, int]:
        """Port by the name that Triton's arguments give it."""
        return {"grpc": self.grpc_port, "http": self.http_port, "metrics": self.metrics_port}

    @property
    def grpc_url(self) -> str:
        """host:port for gRPC clients."""
        return f"{self.host}:{self.grpc_port}"

    def resolved(self) -> "Address":
        """The same with every 0 replaced by a free port.

        Raises:
            PortInUseError: a given port is taken, or given twice.
        """
        taken = [port for port in self.ports.values() if port]
        if len(taken) > len(set(taken)):
            raise PortInUseError(f"gRPC, HTTP and metrics need ports of their own, not {taken}.")
        held = {name: _bind(self.host, name, port) for name, port in self.ports.items()}
        ports = {f"{name}_port": probe.getsockname()[1] for name, probe in held.items()}
        for probe in held.values():
            probe.close()
        return Address(self.host, **ports)


def _bind(host: str, name: str, port: int) -> socket.socket:
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    # Without this, connections of an earlier server that still linger would look like a taker.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host, port))
    except (OSError, OverflowError) as error:
        probe.close()
        raise PortInUseError(
            f"cannot listen on {host}:{port} for {name} ({error}). Stop what listens "
            f"there, or choose another port: --{name}-port 0 takes a free one."
        ) from error
    return probe
