"""Sets this machine's clock again and again while a server, its clients and the app work.

    sudo env PYTHONPATH=.:client .venv-development/bin/python -m tests.clock_jumps --set-the-clock

Only for a machine of one's own: its clock is wrong for some seconds at a time, by up to a day. It
is set right at the end. Prints what became of the requests; exits with 1 where one was not as
promised.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
JUMPS_S = (-HOUR_S, HOUR_S, HOUR_S, -HOUR_S, -24 * HOUR_S, 24 * HOUR_S)
"""One after the other, in seconds."""
BACK_WITHIN_S = 15.0
"""What is promised for every fault (docs/serving.md)."""
JOB_TIMEOUT_S = 300.0


def main() -> int:
    """Jumps, and prints the report as JSON."""
    parser = argparse.ArgumentParser("python -m tests.clock_jumps", description=__doc__)
    parser.add_argument("--set-the-clock", action="store_true", required=True)
    parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, clock_set_right():
        found = report(Path(folder))
    print(json.dumps(asdict(found), indent=2))
    return 0 if found.is_as_promised else 1


@dataclass(frozen=True)
class Report:
    """What became of the requests and of the app's jobs.

    Attributes:
        answered_s: after each jump, until a request was answered that was sent after it.
        jobs: the states in which the jobs ended, one of which was under way at each jump.
        errors: type of error -> requests.
        answers: requests without an error.
        longest_s: that a request took.
        same_triton: the server was not started anew.
        runner_stopped: the app's runner ended when it was asked to.
    """

    answered_s: list[float]
    jobs: list[State]
    errors: dict[str, int]
    answers: int
    longest_s: float
    same_triton: bool
    runner_stopped: bool

    @property
    def is_as_promised(self) -> bool:
        """Whether everything was answered, and soon."""
        return (
            max(self.answered_s) < BACK_WITHIN_S
            and set(self.jobs) == {State.DONE}
            and not self.errors
            and self.same_triton
            and self.runner_stopped
        )


@contextmanager
def clock_set_right() -> Iterator[None]:
    """Sets the clock afterwards to what it would show by now."""
    ahead_s = time.time() - time.monotonic()
    try:
        yield
    finally:
        time.clock_settime(time.CLOCK_REALTIME, ahead_s + time.monotonic())


def report(folder: Path) -> Report:
    """Starts a server and the app's runner, jumps, and stops both.

    Raises:
        PermissionError: this process may not set the clock.
    """
    probed = ["--probe-interval-s", "1"]
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
            time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)
            answered_s.append(round(load.recovery_s(time.monotonic()), 1))
            wait_until(lambda job=job: store.get(job.id).state.is_over, JOB_TIMEOUT_S)
            jobs.append(store.get(job.id).state)
        stopped = runner.stop(10.0)
        ready = json.loads((folder / "ready.json").read_text())
        return Report(
            answered_s=answered_s,
            jobs=jobs,
            errors=dict(load.errors(0)),
            answers=sum(outcome.error is None for outcome in load.outcomes),
            longest_s=round(max(o.ended_s - o.sent_s for o in load.outcomes), 1),
            same_triton=ready["pid"] == server.triton_pid,
            runner_stopped=stopped,
        )


if __name__ == "__main__":
    sys.exit(main())
