"""What the launcher prints."""

import os
from contextlib import suppress

STDOUT, STDERR = 1, 2


def say(what: str, to: int = STDOUT) -> None:
    """Prints a line; a full disk or a closed pipe at its end does not stop the server."""
    with suppress(OSError):
        os.write(to, f"server: {what}\n".encode(errors="backslashreplace"))
