"""`python -m server`: a Triton on the model repository, until Ctrl-C or for one command."""

import argparse
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

from server.address import LOOPBACK, Address
from server.errors import ServerStartError, UsageError
from server.installation import PROJECT
from server.process import ServerOptions
from server.supervision import serve
from server.tls import Tls

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns its exit code."""
    given = _parser().parse_args(arguments)
    # SIGINT too: a shell's background job would otherwise ignore it.
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    print(f"server: loading {given.model_repository} ...", flush=True)
    options = ServerOptions(
        given.model_repository.resolve(),
        _address(given),
        given.startup_timeout_s,
        given.verbose,
        given.variant,
        given.threads,
        dict(given.instances),
        _tls(given),
    )
    try:
        _check(given, options)
        return serve(options, given.ready_file, given.command)
    except ServerStartError as error:
        print(f"server: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("server: stopped", flush=True)
    return 0


def _address(given: argparse.Namespace) -> Address:
    """HTTP and metrics, which Triton cannot encrypt, follow gRPC to --host only if all may."""
    has_tls_alone = given.grpc_server_cert is not None and not given.unprotected
    return Address(
        given.host,
        given.grpc_port,
        given.http_port,
        given.metrics_port,
        LOOPBACK if has_tls_alone else given.host,
    )


def _tls(given: argparse.Namespace) -> Tls | None:
    if given.grpc_server_cert is None:
        return None
    # Triton is started in another folder.
    files = (given.grpc_server_cert, given.grpc_server_key, given.grpc_root_cert)
    return Tls(*(file and file.resolve() for file in files))


def _check(given: argparse.Namespace, options: ServerOptions) -> None:
    """Raises UsageError for what cannot work, before the server takes its time to start."""
    if (given.grpc_server_cert is None) != (given.grpc_server_key is None):
        raise UsageError("--grpc-server-cert and --grpc-server-key belong together: give both")
    if given.grpc_root_cert and options.tls is None:
        raise UsageError("--grpc-root-cert needs --grpc-server-cert and --grpc-server-key")
    if options.tls:
        options.tls.check()
    is_mutual = options.tls is not None and options.tls.client_root is not None
    if not (options.address.is_for_this_machine or is_mutual or given.unprotected):
        raise UsageError(
            f"--host {given.host}: other machines would reach it, and Triton lets in everyone who "
            "does. Stay on 127.0.0.1, behind the gateway for others; or ask for certificates "
            "(--grpc-server-cert, --grpc-server-key, --grpc-root-cert); or add --unprotected "
            "where only the right ones reach it. See docs/security.md."
        )
    if given.command and shutil.which(given.command[0]) is None:
        raise UsageError(f"there is no command {given.command[0]!r} to run")
    if given.ready_file and not given.ready_file.parent.is_dir():
        raise UsageError(f"--ready-file: there is no folder {given.ready_file.parent}")


def _interrupt(signal_number: int, frame: object) -> None:
    # Once is enough: a second signal must not cut off the cleaning up.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def slot_instances(text: str) -> tuple[str, int]:
    """`SLOT=N` as slot and number."""
    slot, found, number = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not SLOT=N")
    return slot, positive(number)


class _Parser(argparse.ArgumentParser):
    """Ends with the launcher's own exit code, since argparse's 2 may be the command's."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(UsageError.exit_code, f"{self.prog}: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m server",
        description="Serve the model repository with Triton: NVIDIA's if `tritonserver` is on "
        "PATH, else the one in the nvidia-pytriton wheel.",
    )
    default = Address()
    parser.add_argument("--model-repository", type=Path, default=PROJECT / "model_repository")
    _add_doors(parser, default)
    parser.add_argument(
        "--variant",
        help="the slots' configurations of this name, where they have one: gpu, tensorrt, "
        "torchscript, torchscript-gpu (default: config.pbtxt)",
    )
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="threads of each network (default: 1, see docs/performance.md)",
    )
    parser.add_argument(
        "--instances",
        type=slot_instances,
        action="append",
        default=[],
        metavar="SLOT=N",
        help="instances of a slot (default: by the processors there are); may be repeated",
    )
    parser.add_argument("--startup-timeout-s", type=float, default=180.0)
    parser.add_argument(
        "--ready-file", type=Path, help="JSON with pid and ports, kept while the server is ready"
    )
    parser.add_argument("--verbose", action="store_true", help="show Triton's own log")
    parser.add_argument(
        "command",
        nargs="*",
        metavar="-- COMMAND",
        help="run this with VEMOCLAP_URL and VEMOCLAP_METRICS_URL set, then stop; the exit code is "
        "the command's; 70 to 79 are the launcher's own",
    )
    return parser


def _add_doors(parser: argparse.ArgumentParser, default: Address) -> None:
    """Adds where it listens, and to whom."""
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


if __name__ == "__main__":
    sys.exit(main())
