"""The clock is set, by an hour and by a day, while a server, its clients and the app work."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import clock_jumps
from tests.launching import PROJECT

MEMORY = "5G"
LIMIT_S = 900.0
BACK_WITHIN_S = 15.0
"""What is promised for every fault (docs/serving.md)."""


@pytest.mark.soak
def test_a_clock_that_is_set_stops_nothing(samples: Path, tmp_path: Path) -> None:
    """In a kernel of its own, since a clock is its kernel's: this machine's stays as it is."""
    linux = shutil.which("linux.uml")
    if linux is None:
        pytest.skip("linux.uml is not there: apt-get install user-mode-linux")
    first = tmp_path / "first.sh"
    paths = shlex.quote(f"{PROJECT}:{PROJECT / 'client'}")
    first.write_text(
        "#!/bin/sh\n"
        "export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root OMP_NUM_THREADS=1\n"
        f"export PYTHONPATH={paths} PYTHONDONTWRITEBYTECODE=1\n"
        f"cd {shlex.quote(str(PROJECT))} && exec {sys.executable} -m {clock_jumps.__name__}\n"
    )
    first.chmod(0o700)
    kernel = f"mem={MEMORY} root=/dev/root rootfstype=hostfs rootflags=/ ro quiet"
    console = "con=null con0=null,fd:1"
    finished = subprocess.run(
        [linux, *kernel.split(), *console.split(), f"init={first}"],
        env={"TMPDIR": "/dev/shm"},  # Where the kernel keeps its memory.
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LIMIT_S,
        check=False,
    )
    print(finished.stdout)
    lines = [line for line in finished.stdout.splitlines() if line.startswith(clock_jumps.REPORT)]
    assert lines, finished.stdout
    found = json.loads(lines[0].removeprefix(clock_jumps.REPORT))
    assert len(found["answered_s"]) == len(clock_jumps.JUMPS_S)
    assert max(found["answered_s"]) < BACK_WITHIN_S
    assert found["jobs"] == ["done"] * len(clock_jumps.JUMPS_S)
    assert found["errors"] == {}
    assert found["same_triton"]
    assert found["runner_stopped"]
