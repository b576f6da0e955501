"""Looks after a running server: says what broke, and whether a part of it is enough to restart.

What is judged is whether it works, never how long it takes: see docs/serving.md.
"""

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from server.executions import executing_since_s
from server.idleness import Idleness, state_in
from server.probe import Probe
from vemoclap_client.contract import DEFAULT_TIMEOUT_S

TRITON = "Triton"
UNKNOWN = "an unknown slot"
STOPPED_S = 2.0
"""A process that was stopped for so long (state T) is not merely being moved or looked at."""
LONGEST_WAIT_S = DEFAULT_TIMEOUT_S
"""A server that answers nobody for so long is broken however much it computes: it is the client's
own time limit."""
MOST_FAILURES = 3
"""Probes that fail one after the other, while no other request succeeds."""
STEP_AT_MOST_S = 1.0
"""Time in which this process did not run itself (a paused container) does not count."""
ENDED = ("Z", "")
"""States of a process that has ended; the second of one that is gone."""

States = Mapping[psutil.Process, str]


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a server.

    Attributes:
        reason: for people.
        slots: those that alone are to be loaded again; none: all of the server.
    """

    reason: str
    slots: frozenset[str] = frozenset()


class Watch:
    """Judges one server by its processes and its answers; call `trouble` again and again."""

    def __init__(self, triton_pid: int, probe: Probe, executions: Path) -> None:
        """Notes the processes that there are now; `executions`: see server/executions.py."""
        self._triton = psutil.Process(triton_pid)
        self._processes = self._running()
        self._stopped_s: dict[psutil.Process, float] = {}
        self._executions = executions
        self._executing: dict[tuple[psutil.Process, float], Idleness] = {}
        self._probe = probe
        self._answers = probe.answers
        self._waited_s = 0.0
        self._idleness = Idleness(self._processes)
        self._looked_s = time.monotonic()

    def trouble(self) -> Trouble | None:
        """What is wrong by now, or None."""
        now_s = time.monotonic()
        step_s, self._looked_s = min(now_s - self._looked_s, STEP_AT_MOST_S), now_s
        states = {process: _state(process) for process in self._processes}
        return (
            self._ended(states)
            or self._stopped(states, step_s)
            or self._deadlocked(step_s)
            or self._stuck(step_s)
            or self._failing()
        )

    def kill(self, slots: frozenset[str]) -> None:
        """Kills every process of these slots."""
        for process, instance in self._processes.items():
            if _slot(instance) in slots:
                with suppress(psutil.NoSuchProcess):
                    process.kill()

    def renew(self) -> None:
        """Notes the processes that there are after slots were loaded again."""
        self._processes = self._running()
        self._answers = -1

    def _running(self) -> dict[psutil.Process, str]:
        """Triton and its children that have not ended: Triton keeps the remains of those it had.

        It also ends and replaces a process while it loads a slot; if what has ended here is missed,
        the probe notices.
        """
        children = [p for p in self._triton.children(recursive=True) if _state(p) not in ENDED]
        return {self._triton: TRITON, **{child: _instance(child) for child in children}}

    def _ended(self, states: States) -> Trouble | None:
        ended = [process for process, state in states.items() if state in ENDED]
        return self._trouble_of(ended, "ended")

    def _stopped(self, states: States, step_s: float) -> Trouble | None:
        self._stopped_s = {
            process: self._stopped_s.get(process, 0.0) + step_s
            for process, state in states.items()
            if state == "T"
        }
        long = [process for process, so_far_s in self._stopped_s.items() if so_far_s >= STOPPED_S]
        return self._trouble_of(long, "was stopped")

    def _deadlocked(self, step_s: float) -> Trouble | None:
        """A process that executes requests, waits for no other slot and computes nothing.

        The probe does not notice it where the slot has other processes, or is not in the ensemble.
        """
        since_s = {p: executing_since_s(self._executions, p.pid) for p in self._processes}
        self._executing = {
            each: self._executing.get(each) or Idleness([each[0]])
            for each in since_s.items()
            if each[1]
        }
        idle = [each[0] for each, idleness in self._executing.items() if idleness.is_long(step_s)]
        return self._trouble_of(idle, "has not answered a request, and computes nothing")

    def _trouble_of(self, processes: Sequence[psutil.Process], what: str) -> Trouble | None:
        if not processes:
            return None
        instances = sorted(self._processes[process] for process in processes)
        slots = frozenset(map(_slot, instances))
        alone = slots if TRITON not in slots else frozenset()
        return Trouble(f"the process of {', '.join(instances)} {what}", alone)

    def _stuck(self, step_s: float) -> Trouble | None:
        if self._probe.answers != self._answers or not self._probe.is_unanswered:
            self._answers = self._probe.answers
            self._waited_s, self._idleness = 0.0, Idleness(self._processes)
            return None
        self._waited_s += step_s
        is_idle = self._idleness.is_long(step_s)
        if not is_idle and self._waited_s < LONGEST_WAIT_S:
            return None
        last = f"; the last probe: {self._probe.error}" if self._probe.error else ""
        return Trouble(
            f"no request was answered for {self._waited_s:.0f} s, and the server "
            f"{'computes nothing' if is_idle else 'computes without an end'}{last}"
        )

    def _failing(self) -> Trouble | None:
        if self._probe.failures < MOST_FAILURES:
            return None
        return Trouble(f"{self._probe.failures} probes failed: {self._probe.error}")


def _instance(worker: psutil.Process) -> str:
    """Name of the model's instance that a Python process of Triton's serves: slot_0_0."""
    with suppress(psutil.Error):
        names = (word for word in worker.cmdline() if re.fullmatch(r"\w+_\d+_\d+", word))
        return next(names, UNKNOWN)
    return UNKNOWN


def _slot(instance: str) -> str:
    return re.sub(r"_\d+_\d+$", "", instance)


def _state(process: psutil.Process) -> str:
    """One letter as in ps; empty when the process is gone."""
    return state_in(Path(f"/proc/{process.pid}/stat")) if process.is_running() else ""
