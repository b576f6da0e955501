"""Standard output, which may be a pipe that is closed or a disk that is full."""

import os
import signal
import sys

from vemoclap_client.errors import OutputError

CLOSED_PIPE = 128 + signal.SIGPIPE
"""What shells report of a program that wrote to a closed pipe."""


class Output:
    """Shows text as long as somebody reads it; files that were asked for are written all the same.

    Attributes:
        exit_code: 0 as long as all could be shown.
    """

    def __init__(self) -> None:
        self.exit_code = 0

    def show(self, text: str) -> None:
        """Prints a text and a new line, unless output failed before."""
        if self.exit_code:
            return
        try:
            print(text, flush=True)
        except BrokenPipeError:
            self._close(CLOSED_PIPE)
        except OSError as error:
            print(f"vemoclap: cannot write to standard output: {error}", file=sys.stderr)
            self._close(OutputError.exit_code)

    def _close(self, exit_code: int) -> None:
        self.exit_code = exit_code
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
