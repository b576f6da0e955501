"""Whether processes compute: judged by the processor time that they use."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import psutil

PATIENCE_S = 5.0
AT_WORK_SHARE = 1 / 30
"""Processes that use, for PATIENCE_S, less than this share of one processor compute nothing."""
AT_WORK = ("R", "D", "t")
"""States of a thread: it runs or waits for a processor, waits for a disk, is being debugged."""


class Idleness:
    """How long processes have computed nothing, counted from when this is made."""

    def __init__(self, processes: Collection[psutil.Process]) -> None:
        """Notes what they have used so far."""
        self._processes = processes
        self._idle_s = 0.0
        self._used_s = self._processor_s()

    def is_long(self, step_s: float) -> bool:
        """Whether it has lasted for PATIENCE_S, now that `step_s` have passed since the last call.

        A thread that wants a processor or a disk is at work: others leave it too little of them.
        """
        self._idle_s += step_s
        used_s = self._processor_s()
        if used_s - self._used_s > AT_WORK_SHARE * max(self._idle_s, PATIENCE_S):
            self._idle_s, self._used_s = 0.0, used_s
        return self._idle_s > PATIENCE_S and not self._is_at_work()

    def _processor_s(self) -> float:
        """What all processes have used so far."""
        used_s = 0.0
        for process in self._processes:
            with suppress(psutil.Error):
                times = process.cpu_times()
                used_s += times.user + times.system
        return used_s

    def _is_at_work(self) -> bool:
        return any(
            state_in(stat) in AT_WORK
            for process in self._processes
            for stat in Path(f"/proc/{process.pid}/task").glob("*/stat")
        )


def state_in(stat: Path) -> str:
    """The state in a file of /proc, one letter as in ps; empty when its process or thread is gone.

    Source: proc_pid_stat(5); the name before it may hold spaces and brackets.
    """
    try:
        return stat.read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""
