"""Keeps a server running: announces it, and starts it again when a process of it was killed."""

import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.address import Address
from server.errors import ServerDiedError
from server.process import RunningServer, running_server, wait_for_trouble

MOST_DEATHS = 4
DEATHS_WITHIN_S = 300.0
"""A server that dies so often will not live: then the launcher gives up."""


def run_command(
    command: list[str],
    repository: Path,
    address: Address,
    timeout_s: float,
    verbose: bool,
    variant: str | None,
) -> int:
    """Runs a command with VEMOCLAP_URL set, on a server of its own; returns its exit code.

    Raises:
        ServerStartError: the server did not start.
    """
    with running_server(repository, address, timeout_s, verbose, variant) as server:
        _say_ready(server)
        environment = {**os.environ, "VEMOCLAP_URL": server.grpc_url}
        return subprocess.call(command, env=environment)


def serve(
    repository: Path,
    address: Address,
    timeout_s: float,
    verbose: bool,
    variant: str | None,
    ready_file: Path | None,
) -> None:
    """Serves until it is interrupted, on the same ports again when the server died.

    Raises:
        ServerStartError: the server did not start.
        ServerDiedError: it died four times within five minutes.
    """
    deaths: deque[float] = deque(maxlen=MOST_DEATHS)
    while True:
        with running_server(repository, address, timeout_s, verbose, variant) as server:
            address = server.address
            _say_ready(server)
            with _announced(server, ready_file):
                trouble = wait_for_trouble(server)
        deaths.append(time.monotonic())
        if len(deaths) == MOST_DEATHS and deaths[-1] - deaths[0] < DEATHS_WITHIN_S:
            raise ServerDiedError(f"{trouble}. That was the {MOST_DEATHS}th time in a row.")
        print(f"server: {trouble}; starting again", file=sys.stderr, flush=True)


def _say_ready(server: RunningServer) -> None:
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
    partial = ready_file.with_suffix(".partial")
    partial.write_text(json.dumps(document))
    partial.replace(ready_file)
    try:
        yield
    finally:
        ready_file.unlink(missing_ok=True)
