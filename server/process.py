"""Starts one Triton, waits until it is ready, and stops it with nothing left behind."""

import ctypes
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from server.errors import ModelLoadError, PortInUseError, ServerDiedError
from server.installation import Installation, find_installation
from server.repository import check_weights
from server.shared_memory import region_prefix, remove_regions

STOP_TIMEOUT_S = 15
POLL_INTERVAL_S = 0.1
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Address:
    """Where the server listens; a port of 0 asks for a free one."""

    host: str = "127.0.0.1"
    grpc_port: int = 8001
    http_port: int = 8000
    metrics_port: int = 8002

    @property
    def ports(self) -> dict[str, int]:
        """Port by the name that `python -m server` gives it."""
        return {"grpc": self.grpc_port, "http": self.http_port, "metrics": self.metrics_port}

    def resolved(self) -> "Address":
        """The same with every 0 replaced by a free port.

        Raises:
            PortInUseError: a port that was asked for is taken.
        """
        held = [(name, _bind(self.host, name, port)) for name, port in self.ports.items()]
        ports = {f"{name}_port": probe.getsockname()[1] for name, probe in held}
        for _, probe in held:
            probe.close()
        return Address(self.host, **ports)


def _bind(host: str, name: str, port: int) -> socket.socket:
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host, port))
    except OSError as error:
        probe.close()
        raise PortInUseError(
            f"cannot listen on {host}:{port} for {name} ({error.strerror}). Stop what listens "
            f"there, or choose another port: --{name}-port 0 takes a free one."
        ) from error
    return probe


@dataclass(frozen=True)
class RunningServer:
    """A Triton that answered "ready"."""

    address: Address
    process: subprocess.Popen[bytes]
    log: Path
    startup_s: float

    @property
    def grpc_url(self) -> str:
        """host:port for gRPC clients."""
        return f"{self.address.host}:{self.address.grpc_port}"


@contextmanager
def running_server(
    repository: Path, address: Address, startup_timeout_s: float, verbose: bool = False
) -> Iterator[RunningServer]:
    """Runs a Triton on `repository` for as long as the context lasts.

    Raises:
        ServerStartError: one of its kinds; the message says what to do.
    """
    check_weights(repository)
    prefix = region_prefix(os.getpid())
    with find_installation() as installation, TemporaryDirectory(prefix="vemoclap-log-") as logs:
        address = address.resolved()
        log = Path(logs) / "triton.log"
        started = time.monotonic()
        with log.open("wb") as output:
            process = _spawn(installation, repository, address, prefix, output, verbose)
        try:
            _wait_until_ready(process, address, log, started + startup_timeout_s)
            yield RunningServer(address, process, log, time.monotonic() - started)
        finally:
            _stop(process)
            remove_regions(prefix)


def _spawn(
    installation: Installation,
    repository: Path,
    address: Address,
    prefix: str,
    output: IO[bytes],
    verbose: bool,
) -> subprocess.Popen[bytes]:
    arguments = [
        str(installation.executable),
        f"--model-repository={repository}",
        # The configurations are complete; guessing would load each model twice.
        "--disable-auto-complete-config",
        f"--backend-config=python,shm-region-prefix-name={prefix}",
        f"--exit-timeout-secs={STOP_TIMEOUT_S - 5}",
        f"--log-verbose={int(verbose)}",
        *installation.arguments,
    ]
    for name, port in address.ports.items():
        arguments += [f"--{name}-address={address.host}", f"--{name}-port={port}"]
    return subprocess.Popen(
        arguments,
        env=installation.environment,
        stdin=subprocess.DEVNULL,
        stdout=None if verbose else output,
        stderr=None if verbose else output,
        # A group of its own: Ctrl-C reaches the launcher alone, which then stops the group.
        start_new_session=True,
        preexec_fn=_die_with_launcher,
    )


def _die_with_launcher() -> None:
    """Has the kernel stop Triton when the launcher is killed without a chance to do it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_ready(
    process: subprocess.Popen[bytes], address: Address, log: Path, deadline: float
) -> None:
    while not _is_ready(address):
        if process.poll() is not None:
            raise ModelLoadError(f"Triton did not start:\n{errors_in(log)}")
        if time.monotonic() > deadline:
            raise ModelLoadError(f"Triton was not ready in time:\n{errors_in(log)}")
        time.sleep(POLL_INTERVAL_S)


def _is_ready(address: Address) -> bool:
    url = f"http://{address.host}:{address.http_port}/v2/health/ready"
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def errors_in(log: Path, most_lines: int = 12) -> str:
    """The lines of Triton's log that name an error; its last lines where none does.

    Triton's lines start with their level: E for errors.
    """
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("E") or line.startswith("error")]
    return "\n".join((errors or lines)[-most_lines:]) or "(it printed nothing)"


def wait(server: RunningServer) -> None:
    """Returns never: a Triton that ends by itself is an error.

    Raises:
        ServerDiedError: it ended.
    """
    code = server.process.wait()
    raise ServerDiedError(f"Triton ended by itself with status {code}:\n{errors_in(server.log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        # Its Python processes are in its group and must not outlive it.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
