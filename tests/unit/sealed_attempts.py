"""What a sealed process tries: `python -m tests.unit.sealed_attempts` prints what came of each.

A program of its own, because it forks: a test's process may have threads that hold locks.
"""

import json
import os
import socket
import threading
from pathlib import Path

from vemoclap_client.limited import _seal


def _connect() -> None:
    with socket.socket() as connection:  # create_connection would import a codec first.
        connection.connect(("127.0.0.1", 1))


REFUSED = {
    "connect": _connect,
    "unix socket": lambda: socket.socket(socket.AF_UNIX),
    "read a file": lambda: Path(__file__).read_text(),
    "write a file": lambda: Path("/tmp/written").write_text("x"),
    "list a folder": lambda: list(Path("/").iterdir()),
    "remove a file": lambda: Path(__file__).unlink(),
    "start a program": lambda: os.execv("/bin/true", ["true"]),
    "fork": lambda: os.fork(),
    "signal": lambda: os.kill(os.getppid(), 0),
    "new session": lambda: os.setsid(),
    "shared memory": lambda: os.memfd_create("x"),
}
ALLOWED = {"thread": lambda: threading.Thread(target=lambda: None).start()}
ATTEMPTS = REFUSED | ALLOWED


def in_sealed_process(action: str) -> int:
    """The error number of what a sealed process tries, 0 for none; 255 where Python failed."""
    pid = os.fork()
    if pid == 0:
        try:
            _seal.seal()
            ATTEMPTS[action]()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno or 254)
        except BaseException:
            os._exit(255)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    print(json.dumps({action: in_sealed_process(action) for action in ATTEMPTS}))
