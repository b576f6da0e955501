"""Keeps a server running: says where it is ready, and starts it again when it broke."""

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from subprocess import Popen, TimeoutExpired

from server.errors import ServerDiedError, ServerStartError
from server.keeping import End, Keeper, Reporting
from server.messages import STDERR, say
from server.probe import Probe
from server.process import (
    STOP_TIMEOUT_S,
    RunningServer,
    ServerOptions,
    die_with_launcher,
    running_server,
)
from vemoclap_client.credentials import Credentials
from vemoclap_client.errors import AccessDeniedError, CertificateError, OutputError
from vemoclap_client.files import write_text

MOST_DEATHS = 4
"""The launcher gives up on a server that breaks so often in a row without answering a request."""
FIRST_PAUSE_S = 1.0
"""Before the second start in a row; it doubles with each further one."""
COMMAND_STOP_TIMEOUT_S = 10.0
"""Time after which a stopping command is killed."""
SIGNALLED = 128
"""As in a shell, what ended by a signal has this and the signal's number as its exit code."""


class Supervisor:
    """Serves, and restarts what broke. A restarted server has the same ports."""

    def __init__(
        self, options: ServerOptions, reporting: Reporting, command: Sequence[str] = ()
    ) -> None:
        """Starts nothing yet.

        Args:
            options: what is served, and how.
            reporting: where to say how the server is.
            command: is run when the server is ready, with its addresses in the environment.
        """
        self._options = options
        self._reporting = reporting
        self._command = command
        self._run: Popen[bytes] | None = None
        self._deaths = 0

    @property
    def exit_code(self) -> int:
        """The command's when it has ended, as a shell gives it; without a command 0."""
        if not self._command:
            return 0
        # A command that was never started counts as interrupted: it has not done its work.
        code = self._run.returncode if self._run else -signal.SIGINT
        return SIGNALLED - code if code < 0 else code

    def serve(self) -> None:
        """Serves until it is interrupted or the command has ended.

        Raises:
            ServerStartError: the server did not start.
            ServerDiedError: it broke four times in a row without answering a request.
        """
        try:
            # For all starts: another program must not get a chosen port between two of them.
            with self._options.address.reserved() as address:
                self._options = replace(self._options, address=address)
                self._serve()
        finally:
            self._end_command()
            self._reporting.health.remove()

    def _serve(self) -> None:
        state = "starting"
        while True:
            self._reporting.health.write(state, self._options.startup_timeout_s + STOP_TIMEOUT_S)
            end = self._serve_once()
            if self._run is not None and self._run.poll() is not None:
                return
            self._deaths = 1 if end.has_answered else self._deaths + 1
            if self._deaths == MOST_DEATHS:
                raise ServerDiedError(
                    f"{end.reason}. It broke {MOST_DEATHS} times in a row without answering a "
                    "request."
                )
            state = f"{end.reason}; starting again"
            say(state, STDERR)
            if self._deaths > 1:
                time.sleep(FIRST_PAUSE_S * 2 ** (self._deaths - 2))

    def _serve_once(self) -> End:
        """Starts the server and keeps it; returns when it broke or the command has ended."""
        reporting = self._reporting
        try:
            with _system_errors(), running_server(self._options) as server:
                _print_ready(server)
                if self._command and self._run is None:
                    credentials = self._options.credentials
                    self._run = _start(self._command, server, credentials)
                probe = Probe(server.control, server.configs, reporting.probe_interval_s)
                with _announced(server, reporting), self._command_ended_first(), probe.running():
                    return Keeper(server, probe, reporting.health).keep(self._run)
        except ServerStartError as error:
            if self._deaths == 0:
                raise
            return End(str(error), has_answered=False)

    @contextmanager
    def _command_ended_first(self) -> Iterator[None]:
        """Ends the command before the server, whose loss it would report, when both are to stop."""
        try:
            yield
        except BaseException:
            self._end_command()
            raise

    def _end_command(self) -> None:
        """Stops the command if it runs."""
        run = self._run
        if run is None or run.poll() is not None:
            return
        run.terminate()
        try:
            run.wait(COMMAND_STOP_TIMEOUT_S)
        except TimeoutExpired:
            run.kill()
            run.wait()


@contextmanager
def _system_errors() -> Iterator[None]:
    """Raises what the system refuses as ServerStartError: room on a disk, the clients' files."""
    try:
        yield
    except (OutputError, CertificateError, AccessDeniedError, OSError) as error:
        raise ServerStartError(f"the system refused what the server needs: {error}") from error


def _start(command: Sequence[str], server: RunningServer, credentials: Credentials) -> Popen[bytes]:
    environment = {
        "VEMOCLAP_URL": server.address.grpc_url,
        "VEMOCLAP_METRICS_URL": server.address.metrics_url,
        **credentials.to_environment(),
    }
    return Popen(command, env=os.environ | environment, preexec_fn=die_with_launcher)


def _print_ready(server: RunningServer) -> None:
    ports = ", ".join(f"{name} {port}" for name, port in server.address.ports.items())
    where = f"on {server.address.host} ({ports})"
    say(f"ready in {server.startup_s:.1f} s {where}")


@contextmanager
def _announced(server: RunningServer, reporting: Reporting) -> Iterator[None]:
    """Keeps a JSON file with pid, host and ports while the server is there."""
    ready_file = reporting.ready_file
    document = {
        "pid": server.process.pid,
        "host": server.address.host,
        "startup_s": server.startup_s,
        **{f"{name}_port": port for name, port in server.address.ports.items()},
    }
    try:
        if ready_file:
            write_text(ready_file, json.dumps(document))
        yield
    finally:
        reporting.health.write("stopping", STOP_TIMEOUT_S)
        if ready_file and ready_file.is_file():  # Not a device.
            ready_file.unlink()
