"""Standard output, which may be a pipe that is closed or a disk that is full."""

import os
import signal
import sys

from vemoclap_client.errors import OutputError

CLOSED_PIPE = 128 + signal.SIGPIPE
"""What shells report of a program that wrote to a closed pipe."""


class Output:
    """Prints as long as somebody reads it; files that were asked for are written all the same.

    Attributes:
        exit_code: 0 as long as all could be printed.
    """

    def __init__(self, quiet: bool = False) -> None:
        """Text for people is left out where `quiet`."""
        self.exit_code = 0
        self._quiet = quiet

    def show(self, text: str) -> None:
        """Prints a text for people and a new line."""
        if not self._quiet:
            self.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Prints a text as it is, unless output failed before."""
        if self.exit_code:
            return
        try:
            print(text, end="", flush=True)
        except BrokenPipeError:
            self._close(CLOSED_PIPE)
        except OSError as error:
            print(f"vemoclap: cannot write to standard output: {error}", file=sys.stderr)
            self._close(OutputError.exit_code)

    def _close(self, exit_code: int) -> None:
        self.exit_code = exit_code
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
