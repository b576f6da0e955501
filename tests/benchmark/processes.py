"""What the processes of a server have used: processor time by slot, and memory."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tests.benchmark.figures import CLIENT, TRITON

STUB = "triton_python_backend_stub"
MEGABYTE = 1e6


def server_processes(triton_pid: int) -> Iterator[tuple[str, psutil.Process]]:
    """Triton, its stubs and their children, each with its slot's name or TRITON."""
    triton = psutil.Process(triton_pid)
    yield TRITON, triton
    for child in triton.children():
        with suppress(psutil.NoSuchProcess):
            name = slot_of(child.cmdline())
            yield name, child
            for descendant in child.children(recursive=True):
                yield name, descendant


def slot_of(command: list[str]) -> str:
    """The slot of a stub's command line, whose first argument is <slot>/<version>/<file>."""
    if len(command) > 1 and Path(command[0]).name == STUB:
        return Path(command[1]).parent.parent.name
    return TRITON


def processor_s(triton_pid: int) -> dict[str, float]:
    """User and system seconds so far: by slot, Triton's own, and this process's."""
    found: defaultdict[str, float] = defaultdict(float)
    for name, process in [*server_processes(triton_pid), (CLIENT, psutil.Process())]:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            found[name] += times.user + times.system
    return dict(found)


def difference(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """What was used in between."""
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


def memory_mb(triton_pid: int) -> dict[str, float]:
    """Memory of the server and of this process.

    "server" is its proportional set size now (what processes share counts once), the "peak" ones
    are the largest resident set so far, of all processes added up.
    """
    processes = [process for _, process in server_processes(triton_pid)]
    return {
        "server": sum(map(_proportional, processes)) / MEGABYTE,
        "server, peak": sum(peak_bytes(process.pid) for process in processes) / MEGABYTE,
        "client": _proportional(psutil.Process()) / MEGABYTE,
        "client, peak": peak_bytes(psutil.Process().pid) / MEGABYTE,
    }


def _proportional(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().pss)
    return 0


def allocated_mb(processes: Iterable[psutil.Process]) -> float:
    """What processes have allocated: anonymous and shared memory; what they share counts once.

    Without the pages of files, such as libraries, since how many of them count as a process's
    depends on what other programs use.
    """
    size = 0
    for process in processes:
        with suppress(OSError):
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                    size += int(line.split()[1]) * 1024
    return size / MEGABYTE


def peak_bytes(pid: int) -> int:
    """The largest resident set of a process so far (the kernel's VmHWM); 0 once it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
