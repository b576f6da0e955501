"""Keeps one Triton working for as long as that can be done without stopping it."""

import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.errors import ModelLoadError
from server.health import READY, HealthFile
from server.limits import is_entry
from server.messages import STDERR, say
from server.probe import Probe
from server.process import RunningServer, errors_in
from server.watching import Trouble, Watch

POLL_INTERVAL_S = 0.2
RELOAD_TIMEOUT_S = 60.0
"""Slots that take longer to be loaded again are restarted with the whole server."""
MOST_RELOADS = 10
"""Every time, Triton leaves a shared-memory region of the old process behind."""


@dataclass(frozen=True)
class Reporting:
    """Where the launcher says how its server is.

    Attributes:
        ready_file: is there while the server is ready, with its pid, host and ports.
        health: for health checks.
        probe_interval_s: see Probe; None: it is never probed.
    """

    ready_file: Path | None
    health: HealthFile
    probe_interval_s: float | None


@dataclass(frozen=True)
class End:
    """Why a server is not kept any longer.

    Attributes:
        reason: for people; empty: the command has ended.
        has_answered: whether it has answered a request.
    """

    reason: str
    has_answered: bool


class Keeper:
    """Watches one server, and loads slots again whose process broke."""

    def __init__(self, server: RunningServer, probe: Probe, health: HealthFile) -> None:
        """Notes the server's processes; `probe` runs."""
        self._server = server
        self._probe = probe
        self._health = health
        self._watch = Watch(server.process.pid, probe, server.executions)
        self._answers_before = 0
        self._reloads = 0

    def keep(self, run: Popen[bytes] | None) -> End:
        """Returns when the command has ended or the server must be started again."""
        while run is None or run.poll() is None:
            trouble = self._watch.trouble()
            # After it: where Triton ended, which is then the trouble, this says how.
            status = self._server.process.poll()
            if status is not None:
                reason = f"Triton ended with status {status}: {errors_in(self._server.log)}"
                return self._end(reason)
            if trouble and not self._is_repaired(trouble):
                self._server.kill()
                return self._end(trouble.reason)
            self._health.write(READY if self._has_answered() else "starting")
            time.sleep(POLL_INTERVAL_S)
        return End("", True)

    def _end(self, reason: str) -> End:
        return End(reason, self._probe.answers > 0)

    def _has_answered(self) -> bool:
        """Since a slot was last loaded again."""
        return self._probe.answers > self._answers_before

    def _is_repaired(self, trouble: Trouble) -> bool:
        """Loads the broken slots again, if that has a chance."""
        if not self._has_answered() or not self._can_reload(trouble):
            return False
        names = ", ".join(sorted(trouble.slots))
        self._say(f"{trouble.reason}; loading {names} again", RELOAD_TIMEOUT_S)
        self._watch.kill(trouble.slots)
        started_s = time.monotonic()
        try:
            self._server.control.reload(trouble.slots, RELOAD_TIMEOUT_S)
        except ModelLoadError as error:
            self._say(str(error))
            return False
        self._say(f"{names} ready in {time.monotonic() - started_s:.1f} s")
        self._reloads += 1
        self._answers_before = self._probe.answers
        self._probe.begin_again()
        self._watch.renew()
        return True

    def _can_reload(self, trouble: Trouble) -> bool:
        configs = self._server.configs
        return (
            self._reloads < MOST_RELOADS
            and bool(trouble.slots)
            and all(slot in configs and not _answers_later(configs[slot]) for slot in trouble.slots)
        )

    def _say(self, what: str, valid_for_s: float = 0.0) -> None:
        say(what, STDERR)
        self._health.write(what, valid_for_s)


def _answers_later(config: ModelConfig) -> bool:
    """Whether the slot answers after its `execute` has returned, as streams and entries do.

    Its clients would wait for ever: Triton does not tell them of the end of its process.
    """
    return is_entry(config) or bool(config.model_transaction_policy.decoupled)
