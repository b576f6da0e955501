"""What is printed: text on standard output, errors and progress on standard error."""

import os
import signal
import sys
from pathlib import Path

from vemoclap_client.errors import OutputError, VemoclapError

STANDARD_OUTPUT = Path("-")
"""What stands for it among the files that are asked for."""

CLOSED_PIPE = 128 + signal.SIGPIPE
"""What shells report of a program that wrote to a closed pipe."""

ERASE_LINE = "\r\x1b[K"
WITHOUT_WRAP = "\x1b[?7l{}\x1b[?7h"
"""A terminal cuts what is longer than its line, and goes on as before."""

IN_A_LINE = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), "?")
"""In place of what a terminal would obey: names, titles and recognised texts may hold it."""
IN_TEXT = {code: IN_A_LINE[code] for code in IN_A_LINE if chr(code) not in "\n\t"}


class Output:
    """Prints as long as somebody reads it; files that were asked for are written all the same.

    Standard output may be a pipe that is closed or a disk that is full. Progress is one line, which
    is overwritten and at last erased, and only there where standard error is a terminal.

    Attributes:
        exit_code: 0 as long as all could be printed.
        task: what the progress is of, such as "1 of 3: clip.mp4".
    """

    def __init__(self, quiet: bool = False) -> None:
        """Text for people and progress are left out where `quiet`."""
        self.exit_code = 0
        self.task = ""
        self.is_quiet = quiet
        is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._shows_progress = is_terminal and not quiet

    def show(self, text: str) -> None:
        """Prints a text for people and a new line."""
        if not self.is_quiet:
            self.write(f"{text}\n".translate(IN_TEXT))

    def write(self, text: str) -> None:
        """Prints a text as it is, unless output failed before."""
        if self.exit_code:
            return
        self.erase_progress()
        try:
            print(text, end="", flush=True)
        except BrokenPipeError:
            self._close(CLOSED_PIPE)
        except OSError as error:
            self.say(f"cannot write to standard output: {error}")
            self._close(OutputError.exit_code)

    def progress(self, how_far: str = "") -> None:
        """Shows the task and how far it is, in place of what was shown before."""
        if self._shows_progress:
            text = f"  {self.task}: {how_far}" if how_far else f"  {self.task}"
            line = WITHOUT_WRAP.format(text.translate(IN_A_LINE))
            print(ERASE_LINE + line, end="", file=sys.stderr, flush=True)

    def erase_progress(self) -> None:
        """Leaves an empty line where the progress was."""
        if self._shows_progress:
            print(ERASE_LINE, end="", file=sys.stderr, flush=True)

    def note(self, what: str) -> None:
        """Prints a message for people on standard error."""
        if not self.is_quiet:
            self.say(what)

    def say(self, what: str | VemoclapError) -> None:
        """Prints an error or another message on standard error."""
        self.erase_progress()
        print(f"vemoclap: {what}".translate(IN_TEXT), file=sys.stderr)

    def _close(self, exit_code: int) -> None:
        self.exit_code = exit_code
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
