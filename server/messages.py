"""What the launcher says, through its log: as text or, on request, as JSON."""

import logging
import os
from contextlib import suppress

LOG = logging.getLogger("server")
STDOUT, STDERR = 1, 2


def say(what: str, to: int = STDOUT) -> None:
    """Logs a message; as text, it is printed to this file."""
    LOG.log(logging.WARNING if to == STDERR else logging.INFO, "%s", what)


class TextHandler(logging.Handler):
    """Prints messages; a full disk or a closed pipe at their end does not stop the server."""

    def __init__(self) -> None:
        """Prints the message alone, after the program's name."""
        super().__init__()
        self.setFormatter(logging.Formatter("server: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a line: what is wrong on standard error, all else on standard output."""
        to = STDERR if record.levelno >= logging.WARNING else STDOUT
        with suppress(OSError):
            os.write(to, f"{self.format(record)}\n".encode(errors="backslashreplace"))
