"""Starts the process from which decoders are forked, and hands requests to it."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

SERVER = "vemoclap_client.limited._server"

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Each thread would otherwise reserve memory of its own, which counts.
    "MALLOC_ARENA_MAX": "2",
}
"""All that the processes get of an environment, beside where to import from: no secrets."""


class ForkServer:
    """The process; see _server.py for what it understands."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Starts it, if it does not run."""
        with self._lock:
            self._started()

    def stop(self) -> None:
        """Ends it and what it has forked."""
        with self._lock:
            self._stop()

    def send(self, request: bytes, *files: socket.socket) -> None:
        """Hands a request and what belongs to it over; starts it where it does not run."""
        descriptors = [file.fileno() for file in files]
        with self._lock:
            try:
                socket.send_fds(self._started(), [request], descriptors)
            except ConnectionError:  # It was killed since.
                self._stop()
                socket.send_fds(self._started(), [request], descriptors)

    def _started(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            places = os.pathsep.join(str(Path(place or ".").resolve()) for place in sys.path)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", SERVER, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env={**ENVIRONMENT, "PYTHONPATH": places},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C comes to this process alone.
                )
        return self._control

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.wait()
            self._process = None
