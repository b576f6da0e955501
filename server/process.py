"""Starts one Triton, loads its models, stops it and removes its files."""

import ctypes
import logging
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE

import psutil
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.address import Address
from server.control import ModelControl
from server.errors import ModelLoadError
from server.executions import FOLDER_VARIABLE
from server.files import SHARED_MEMORY, reserved_name
from server.installation import PROJECT, Installation, find_installation
from server.limits import choose, limited
from server.repository import (
    check_profile,
    check_weights,
    link_repository,
    read_configs,
    without_empty,
)
from server.resources import check_shared_memory
from server.slots.admission import Limits
from server.threads import plan
from server.tls import Tls
from server.traces import trace_arguments
from server.triton_log import passed_on
from vemoclap_client.credentials import Credentials

EXIT_TIMEOUT_S = 3
"""Time that a stopping Triton gives the requests under way."""
STOP_TIMEOUT_S = 15
"""Time after which a stopping Triton is killed."""
POLL_INTERVAL_S = 0.05
PR_SET_PDEATHSIG = 1

CLOSED_PROTOCOLS = "model-repository,shared-memory,trace,logging"
"""What the launcher alone may use, over gRPC and HTTP. Whoever loads a Python model runs code here,
and the others change how the server works for everyone. Inference and health stay open, and what
only describes: metadata, configurations, statistics, which the app shows."""


@dataclass(frozen=True)
class ServerOptions:
    """What is served, and how.

    Attributes:
        repository: the model repository, of which every slot but the empty optional ones is loaded.
        address: where to listen.
        tls: of the gRPC endpoint; None: it is not encrypted.
        startup_timeout_s: longest time until every model is ready.
        verbose: show Triton's own log instead of keeping it for error messages.
        variant: name of the slots' configurations, where they have one of that name.
        threads: of each network, see threads.plan.
        instances: slot -> how many, see threads.plan.
        log_as_json: pass Triton's log on as JSON: all of it where `verbose`, else what is wrong.
        limits: what the server holds at once.
    """

    repository: Path
    address: Address
    startup_timeout_s: float
    verbose: bool
    variant: str | None
    threads: int | None = None
    instances: Mapping[str, int] = field(default_factory=dict)
    log_as_json: bool = False
    limits: Limits = field(default_factory=choose)
    tls: Tls | None = None

    @property
    def credentials(self) -> Credentials:
        """With which the launcher and its command connect."""
        return self.tls.own_credentials() if self.tls else Credentials()


@dataclass(frozen=True)
class RunningServer:
    """A Triton that is ready.

    Attributes:
        executions: see server/executions.py.
    """

    address: Address
    process: subprocess.Popen[bytes]
    log: Path
    startup_s: float
    control: ModelControl
    configs: Mapping[str, ModelConfig]
    executions: Path

    def kill(self) -> None:
        """Kills it at once, since it no longer works: its requests get errors, not more time."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


@contextmanager
def running_server(options: ServerOptions) -> Iterator[RunningServer]:
    """Runs a Triton for as long as the context lasts.

    Raises:
        ServerStartError: one of its kinds; the message names the remedy.
    """
    check_shared_memory()
    configs = _checked(options)
    token = secrets.token_hex()
    temporary = Path(tempfile.gettempdir())
    with (
        reserved_name([SHARED_MEMORY, temporary]) as name,
        options.address.reserved() as address,
    ):
        folder = temporary / f"{name}_files"
        folder.mkdir(mode=0o700)
        installation = find_installation(folder)
        served = folder / "models"
        configs = plan(configs, options.threads, options.instances, installation.automatic)
        configs = limited(configs, options.limits, folder / "at_work")
        link_repository(options.repository, configs, served)
        arguments = [
            *_arguments(installation, served, address, token),
            *(options.tls.arguments if options.tls else ()),
            f"--backend-config=python,shm-region-prefix-name={name}_",
            f"--backend-config=python,thread-pool-size={options.limits.calls_at_once}",
        ]
        executions = folder / "executions"
        executions.mkdir()
        environment = installation.environment | {FOLDER_VARIABLE: str(executions)}
        log = folder / "triton.log"
        started = time.monotonic()
        is_shown_as_it_is = options.verbose and not options.log_as_json
        process = _spawn(arguments, environment, log, is_shown_as_it_is)
        level = logging.INFO if options.verbose else logging.WARNING
        try:
            control = ModelControl(address, options.credentials, token, options.startup_timeout_s)
            with (
                _killed_without_launcher(process),
                passed_on(log, level) if options.log_as_json else nullcontext(),
                closing(control),
            ):
                _wait_until_live(process, control, log)
                control.load(configs)
                startup_s = time.monotonic() - started
                yield RunningServer(address, process, log, startup_s, control, configs, executions)
        finally:
            _stop(process)


def _checked(options: ServerOptions) -> dict[str, ModelConfig]:
    """The configurations of the slots that are served."""
    repository = options.repository
    configs = without_empty(repository, read_configs(repository, options.variant))
    check_weights(repository, configs)
    check_profile(repository, configs)
    return configs


def _arguments(
    installation: Installation, repository: Path, address: Address, token: str
) -> list[str]:
    arguments = [
        str(installation.executable),
        f"--model-repository={repository}",
        # The configurations are complete; guessing would load each model twice.
        "--disable-auto-complete-config",
        # Models load while the endpoints answer: a client can tell "loading" from "not there",
        # and a model that fails says why by itself.
        "--model-control-mode=explicit",
        f"--http-restricted-api={CLOSED_PROTOCOLS}:{ModelControl.KEY}={token}",
        f"--grpc-restricted-protocol={CLOSED_PROTOCOLS}:{ModelControl.KEY}={token}",
        f"--exit-timeout-secs={EXIT_TIMEOUT_S}",
        # By default Triton keeps the frames of eight requests that were answered, to reuse memory.
        "--grpc-infer-allocation-pool-size=0",
        *trace_arguments(os.environ),
        *installation.arguments,
    ]
    for name, port in address.ports.items():
        arguments += [f"--{name}-address={address.hosts[name]}", f"--{name}-port={port}"]
    return arguments


def _spawn(
    arguments: list[str], environment: dict[str, str], log: Path, is_shown: bool
) -> subprocess.Popen[bytes]:
    """Starts Triton; what it prints goes to `log`, or is shown, and then the log stays empty."""
    with log.open("wb") as file:
        output = None if is_shown else file
        return subprocess.Popen(
            arguments,
            env=environment,
            # The stub's Python ignores PYTHONPATH but looks here: this is how it finds `server`.
            cwd=PROJECT,
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            # A group of its own: Ctrl-C reaches the launcher alone, which then stops the group.
            start_new_session=True,
            preexec_fn=die_with_launcher,
        )


def die_with_launcher() -> None:
    """Lets the kernel stop this process when the launcher is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def _killed_without_launcher(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Has a shell kill the process's group if the launcher dies and the end by SIGTERM hangs.

    Triton's gRPC server ends only after its last call, which a model may never answer, and a
    stopped process does not act on a signal that it could handle.
    """
    # The launcher alone holds the other end of the pipe, so that the pipe ends with it.
    script = f"read -r _; sleep {STOP_TIMEOUT_S}; kill -KILL -{process.pid}"
    # Not the launcher's output either: who reads it to its end would be kept until then.
    with subprocess.Popen(
        ["sh", "-c", script], stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
    ) as shell:
        try:
            yield
        finally:
            shell.kill()


def _wait_until_live(process: subprocess.Popen[bytes], control: ModelControl, log: Path) -> None:
    while not control.is_live():
        if process.poll() is not None:
            raise ModelLoadError(f"Triton did not start:\n{errors_in(log)}")
        if control.remaining_s() <= 0:
            raise ModelLoadError(f"Triton did not answer in time:\n{errors_in(log)}")
        time.sleep(POLL_INTERVAL_S)


def errors_in(log: Path, most_lines: int = 12) -> str:
    """The lines of Triton's log that name an error; its last lines where none does.

    Triton's lines start with their level: E for errors.
    """
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith(("E", "error"))]
    return "\n".join((errors or lines)[-most_lines:]) or "(it printed nothing)"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        _wait_until_unloaded(process)
    finally:
        # Its Python processes are in its group and must not outlive it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_unloaded(process: subprocess.Popen[bytes]) -> None:
    """Waits until the Python processes have ended, and so no model is loaded any more.

    Triton itself often stays for ten seconds more, in a poller of gRPC's with nothing to do.
    """
    deadline = time.monotonic() + STOP_TIMEOUT_S
    with suppress(psutil.NoSuchProcess):
        triton = psutil.Process(process.pid)
        while triton.children() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL_S)
