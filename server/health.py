"""The file in which the launcher says how its server is, for docker/healthcheck.py."""

import json
import time
from pathlib import Path

from server.messages import STDERR, say
from vemoclap_client.errors import OutputError
from vemoclap_client.files import write_text

VARIABLE = "VEMOCLAP_HEALTH_FILE"
READY = "ready"
VALID_S = 30.0
"""A launcher that has written nothing for so long is stuck."""
REPEAT_S = 5.0


class HealthFile:
    """JSON: `state` is "ready", or says why not; nobody has written it since `valid_until_s`.

    The time is that of CLOCK_MONOTONIC, which all processes of a machine share and nobody sets.
    """

    def __init__(self, path: Path | None) -> None:
        """Writes nothing yet; without a path, never."""
        self._path = path
        self._written = ""
        self._repeat_s = 0.0
        self._complained = False

    def write(self, state: str, valid_for_s: float = 0.0) -> None:
        """Says `state`, for longer than VALID_S if the launcher is busy for `valid_for_s`.

        May be called as often as one likes: it writes what is new, and every 5 s. A file that
        cannot be written is reported once, since the server is more useful without it than not
        at all. It then runs out, and a container is restarted.
        """
        now_s = time.monotonic()
        if self._path is None or (state == self._written and now_s < self._repeat_s):
            return
        self._written, self._repeat_s = state, now_s + REPEAT_S
        health = {"state": state, "valid_until_s": now_s + VALID_S + valid_for_s}
        try:
            write_text(self._path, json.dumps(health))
        except OutputError as error:
            if not self._complained:
                say(str(error), STDERR)
            self._complained = True

    def remove(self) -> None:
        """Removes the file, when no server is to run any more; a device stays."""
        if self._path is not None and self._path.is_file():
            self._path.unlink()
