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

from server.probe import Probe

TRITON = "Triton"
UNKNOWN = "an unknown slot"
STOPPED_S = 2.0
"""A process that was stopped for so long (state T) is not merely being moved or looked at."""
PATIENCE_S = 5.0
AT_WORK_SHARE = 1 / 30
"""A server that leaves a probe unanswered and uses, for so long, less than this share of one
processor computes nothing."""
LONGEST_WAIT_S = 600.0
"""A server that answers nobody for so long is broken however much it computes: it is the client's
own time limit."""
MOST_FAILURES = 3
"""Probes that fail one after the other, while no other request succeeds."""
STEP_AT_MOST_S = 1.0
"""Time in which this process did not run itself (a paused container) does not count."""
ENDED = ("Z", "")
"""States of a process that has ended; the second of one that is gone."""
AT_WORK = ("R", "D", "t")
"""States of a thread: it runs or waits for a processor, waits for a disk, is being debugged."""


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

    def __init__(self, triton_pid: int, probe: Probe) -> None:
        """Notes the processes that there are now."""
        self._triton = psutil.Process(triton_pid)
        self._processes = self._running()
        self._stopped_s: dict[psutil.Process, float] = {}
        self._probe = probe
        self._answers = probe.answers
        self._waited_s = 0.0
        self._idle_s = 0.0
        self._used_s = 0.0
        self._looked_s = time.monotonic()

    def trouble(self) -> Trouble | None:
        """What is wrong by now, or None."""
        now_s = time.monotonic()
        step_s, self._looked_s = min(now_s - self._looked_s, STEP_AT_MOST_S), now_s
        states = {process: _state(process) for process in self._processes}
        return (
            self._ended(states)
            or self._stopped(states, step_s)
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
            self._waited_s, self._idle_s, self._used_s = 0.0, 0.0, self._processor_s()
            return None
        self._waited_s += step_s
        self._idle_s += step_s
        used_s = self._processor_s()
        if used_s - self._used_s > AT_WORK_SHARE * max(self._idle_s, PATIENCE_S):
            self._idle_s, self._used_s = 0.0, used_s
        is_idle = self._idle_s > PATIENCE_S and not self._is_at_work()
        if not is_idle and self._waited_s < LONGEST_WAIT_S:
            return None
        return Trouble(
            f"no request was answered for {self._waited_s:.0f} s, and the server "
            f"{'computes nothing' if is_idle else 'computes without an end'}"
        )

    def _failing(self) -> Trouble | None:
        if self._probe.failures < MOST_FAILURES:
            return None
        return Trouble(f"{self._probe.failures} probes failed: {self._probe.error}")

    def _processor_s(self) -> float:
        """What all processes have used so far."""
        used_s = 0.0
        for process in self._processes:
            with suppress(psutil.Error):
                times = process.cpu_times()
                used_s += times.user + times.system
        return used_s

    def _is_at_work(self) -> bool:
        """Whether a thread wants a processor or a disk: others leave it too little of them."""
        return any(
            state in AT_WORK
            for process in self._processes
            for state in map(_state_in, Path(f"/proc/{process.pid}/task").glob("*/stat"))
        )


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
    return _state_in(Path(f"/proc/{process.pid}/stat")) if process.is_running() else ""


def _state_in(stat: Path) -> str:
    """The state in a file of /proc; empty when its process or thread is gone.

    Source: proc_pid_stat(5); the name before it may hold spaces and brackets.
    """
    try:
        return stat.read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""
