"""Where the server listens and who gets in: the launcher's options for it, and what they refuse."""

import argparse
from pathlib import Path

from server.address import LOOPBACK, Address
from server.errors import UsageError
from server.tls import Tls


def add_door_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that the other functions read."""
    default = Address()
    parser.add_argument(
        "--host",
        default=default.host,
        help="address to bind (%(default)s); HTTP and metrics too, but with TLS they need "
        "--unprotected, since Triton does not encrypt them",
    )
    for name, port in default.ports.items():
        parser.add_argument(
            f"--{name}-port", type=int, default=port, help="%(default)s; 0 takes a free port"
        )
    for name, what in (
        ("--grpc-server-cert", "PEM file of the server's certificate: gRPC with TLS"),
        ("--grpc-server-key", "PEM file of its private key"),
        ("--grpc-root-cert", "PEM file of the authority of the clients' certificates: mutual TLS"),
    ):
        parser.add_argument(name, type=Path, metavar="FILE", help=what)
    parser.add_argument(
        "--unprotected",
        action="store_true",
        help="allow a --host that other machines reach without certificates, which everyone there "
        "may then use: in a private network, or a container's",
    )


def read_address(given: argparse.Namespace) -> Address:
    """Where to listen; HTTP and metrics have no TLS, so they stay here if gRPC has it."""
    has_tls_alone = given.grpc_server_cert is not None and not given.unprotected
    return Address(
        given.host,
        given.grpc_port,
        given.http_port,
        given.metrics_port,
        LOOPBACK if has_tls_alone else given.host,
    )


def read_tls(given: argparse.Namespace) -> Tls | None:
    """The certificates, if any."""
    if given.grpc_server_cert is None or given.grpc_server_key is None:
        return None
    # Triton is started in another folder.
    files = (given.grpc_server_cert, given.grpc_server_key, given.grpc_root_cert)
    return Tls(*(file and file.resolve() for file in files))


def check_doors(given: argparse.Namespace, address: Address, tls: Tls | None) -> None:
    """Returns if the options fit together, the files can be used and nobody gets in by oversight.

    Raises:
        UsageError: names the option and what to do.
    """
    if (given.grpc_server_cert is None) != (given.grpc_server_key is None):
        raise UsageError("--grpc-server-cert and --grpc-server-key belong together: give both")
    if given.grpc_root_cert and tls is None:
        raise UsageError("--grpc-root-cert needs --grpc-server-cert and --grpc-server-key")
    if tls:
        tls.check()
    is_mutual = tls is not None and tls.client_root is not None
    if not (address.is_for_this_machine or is_mutual or given.unprotected):
        raise UsageError(
            f"--host {given.host}: other machines would reach it, and Triton lets in everyone who "
            "does. Stay on 127.0.0.1, behind the gateway for others; or ask for certificates "
            "(--grpc-server-cert, --grpc-server-key, --grpc-root-cert); or add --unprotected "
            "where only the right ones reach it. See docs/security.md."
        )
