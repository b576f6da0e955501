"""Sets the clock of the machine again and again while a server, its clients and the app work.

Only for a machine of its own: test_clock.py runs it as the first process of a User Mode Linux,
a kernel that is a process and has a clock of its own.
"""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from tests.faults import Load, small_request
from tests.launching import PROJECT, launched, wait_until
from ui.application import Application
from ui.jobs.job import Source, SourceKind, State
from ui.jobs.runner import Runner
from ui.jobs.store import JobStore
from ui.owners import EVERYONE
from ui.settings import Settings

HOUR_S = 3600
JUMPS_S = (HOUR_S, -HOUR_S, 24 * HOUR_S, -24 * HOUR_S, -24 * HOUR_S, HOUR_S)
"""One after the other, in seconds."""
JOB_TIMEOUT_S = 300.0
REPORT = "report: "
MOUNTS = (("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/dev/shm"), ("tmpfs", "/mnt"))


def jump(seconds: float) -> None:
    """Sets the wall clock of the whole kernel."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)


def report(folder: Path) -> dict[str, object]:
    """What became of the requests and of a job of the app; the server is started and stopped."""
    probed = ["--probe-interval-s", "1", "--health-file", folder / "health.json"]
    with launched(folder, probed) as server, Load(server, [small_request()] * 2) as load:
        settings = Settings(
            folder / "data", samples=PROJECT / "samples", server_url=server.url, workers=1
        )
        store = JobStore(settings.data)
        runner = Runner(settings, store)
        runner.start()
        library = Application(settings, store, runner).library(EVERYONE)
        sample = Source(SourceKind.SAMPLE, str(settings.samples / "title_card.mp4"))
        load.recovery_s(0)
        answered_s, jobs = [], []
        for seconds in JUMPS_S:
            job = library.add("title_card.mp4", sample)
            wait_until(lambda job=job: store.get(job.id).state is not State.WAITING)
            jump(seconds)
            answered_s.append(round(load.recovery_s(time.monotonic()), 1))
            wait_until(lambda job=job: store.get(job.id).state.is_over, JOB_TIMEOUT_S)
            jobs.append(store.get(job.id).state)
        stopped = runner.stop(10.0)
        ready = json.loads((folder / "ready.json").read_text())
        return {
            "answered_s": answered_s,
            "jobs": jobs,
            "runner_stopped": stopped,
            "errors": dict(load.errors(0)),
            "answers": sum(o.error is None for o in load.outcomes),
            "longest_s": round(max(o.ended_s - o.sent_s for o in load.outcomes), 1),
            "same_triton": ready["pid"] == server.triton_pid,
        }


def main() -> None:
    """Mounts what a kernel does not, prints the report, and ends the machine."""
    try:
        Path("/dev/shm").mkdir(exist_ok=True)
        for kind, where in MOUNTS:
            subprocess.run(["mount", "-t", kind, kind, where], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        os.environ["TMPDIR"] = "/mnt"  # All else is read-only.
        with tempfile.TemporaryDirectory() as folder:
            print(REPORT + json.dumps(report(Path(folder))), flush=True)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        raise
    finally:
        Path("/proc/sysrq-trigger").write_text("o")
        time.sleep(60)


if __name__ == "__main__":
    main()
