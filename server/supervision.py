"""Keeps a server running: writes its ready-file, and restarts it when a process was killed."""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import Popen, TimeoutExpired

from server.errors import ServerDiedError
from server.process import (
    RunningServer,
    ServerOptions,
    die_with_launcher,
    running_server,
    wait_for_end,
)
from vemoclap_client.credentials import Credentials
from vemoclap_client.files import write_text

MOST_DEATHS = 4
DEATHS_WITHIN_S = 300.0
"""The launcher gives up on a server that dies so often."""
COMMAND_STOP_TIMEOUT_S = 10.0
"""Time after which a stopping command is killed."""


def serve(
    options: ServerOptions, ready_file: Path | None = None, command: Sequence[str] = ()
) -> int:
    """Serves until it is interrupted or the command has ended; restarts a server that died.

    A restarted server has the same ports.

    Args:
        options: what is served, and how.
        ready_file: is written when the server is ready.
        command: is run when the server is ready, with its addresses in the environment.

    Returns:
        The command's exit code.

    Raises:
        ServerStartError: the server did not start.
        ServerDiedError: it died four times within five minutes.
    """
    deaths: deque[float] = deque(maxlen=MOST_DEATHS)
    run: Popen[bytes] | None = None
    try:
        while True:
            with running_server(options) as server:
                options = replace(options, address=server.address)
                _print_ready(server)
                if command and run is None:
                    run = _start(command, server, options.credentials)
                with _announced(server, ready_file), _ended_before(run):
                    end = wait_for_end(server, run)
            if run is not None and run.poll() is not None:
                return run.returncode
            deaths.append(time.monotonic())
            if len(deaths) == MOST_DEATHS and deaths[-1] - deaths[0] < DEATHS_WITHIN_S:
                raise ServerDiedError(f"{end}. That was the {MOST_DEATHS}th time in a row.")
            print(f"server: {end}; starting again", file=sys.stderr, flush=True)
    finally:
        _end(run)


def _start(command: Sequence[str], server: RunningServer, credentials: Credentials) -> Popen[bytes]:
    environment = {
        "VEMOCLAP_URL": server.address.grpc_url,
        "VEMOCLAP_METRICS_URL": server.address.metrics_url,
        **credentials.to_environment(),
    }
    return Popen(command, env=os.environ | environment, preexec_fn=die_with_launcher)


@contextmanager
def _ended_before(run: Popen[bytes] | None) -> Iterator[None]:
    """Ends the command before the server, whose loss it would report, when both are to stop."""
    try:
        yield
    except BaseException:
        _end(run)
        raise


def _end(run: Popen[bytes] | None) -> None:
    if run is None or run.poll() is not None:
        return
    run.terminate()
    try:
        run.wait(COMMAND_STOP_TIMEOUT_S)
    except TimeoutExpired:
        run.kill()
        run.wait()


def _print_ready(server: RunningServer) -> None:
    ports = ", ".join(f"{name} {port}" for name, port in server.address.ports.items())
    where = f"on {server.address.host} ({ports})"
    print(f"server: ready in {server.startup_s:.1f} s {where}", flush=True)


@contextmanager
def _announced(server: RunningServer, ready_file: Path | None) -> Iterator[None]:
    """Keeps a JSON file with pid, host and ports for as long as the server is ready."""
    if ready_file is None:
        yield
        return
    document = {
        "pid": server.process.pid,
        "host": server.address.host,
        "startup_s": server.startup_s,
        **{f"{name}_port": port for name, port in server.address.ports.items()},
    }
    write_text(ready_file, json.dumps(document))
    try:
        yield
    finally:
        ready_file.unlink(missing_ok=True)
