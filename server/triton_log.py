"""Triton's log, passed on line by line as messages of this process's own logs."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

LOG = logging.getLogger("triton")
POLL_INTERVAL_S = 0.2

LINE = re.compile(r'([IWE])\d{4} [\d:.]+ \d+ (\S+:\d+)\] ?"?(.*?)"?$')
"""Level, place in Triton's source and message, as in: E1127 21:21:43.5 511 grpc.cc:14] "text"."""

LEVELS = {"I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR}
REQUEST_ID = re.compile(r"\[request id: ([^\]<>]+)\]")


@contextmanager
def passed_on(log: Path, level: int) -> Iterator[None]:
    """Passes on the lines of `log` of at least this level, for as long as the context lasts.

    The file is read as it grows: a launcher that is slow or stopped never holds up Triton.
    """
    ended = Event()
    reader = Thread(target=_follow, args=(log, level, ended), name="triton-log", daemon=True)
    reader.start()
    try:
        yield
    finally:
        ended.set()
        reader.join()


def _follow(log: Path, level: int, ended: Event) -> None:
    level_of_line, begun = logging.INFO, ""
    with log.open(errors="replace") as lines:
        while True:
            is_last = ended.is_set()
            while line := lines.readline():
                begun += line
                if begun.endswith("\n"):
                    level_of_line = _pass_on(begun.rstrip(), level_of_line, level)
                    begun = ""
            if is_last:
                return
            ended.wait(POLL_INTERVAL_S)


def _pass_on(line: str, level_before: int, at_least: int) -> int:
    """Logs a line; returns its level, which a line without one has from the line before."""
    found = LINE.match(line)
    level = LEVELS[found[1]] if found else level_before
    if line and level >= at_least:
        fields = {"source": found[2]} if found else {}
        if request := REQUEST_ID.search(line):
            fields["request_id"] = request[1]
        LOG.log(level, "%s", found[3] if found else line, extra=fields)
    return level
