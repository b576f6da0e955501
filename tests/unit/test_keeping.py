"""What the launcher says of a server that it no longer keeps."""

import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil

from server.health import HealthFile
from server.keeping import Keeper
from server.probe import Probe
from server.process import RunningServer


def test_a_triton_that_ends_in_the_middle_of_a_look_is_named_with_its_status(
    tmp_path: Path,
) -> None:
    log = tmp_path / "triton.log"
    log.write_text('E1128 10:00:00.0 1 stub.cc:1] "the last words"\n')
    with psutil.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as triton:

        def poll_and_kill() -> int | None:
            status = triton.poll()
            if status is None:
                triton.send_signal(signal.SIGKILL)
                # Ended, and not yet waited for.
                while triton.status() != psutil.STATUS_ZOMBIE:
                    pass
            return status

        process = SimpleNamespace(pid=triton.pid, poll=poll_and_kill)
        server = SimpleNamespace(process=process, log=log, executions=tmp_path)
        probe = SimpleNamespace(answers=1, is_unanswered=False, failures=0, error="")
        keeper = Keeper(cast(RunningServer, server), cast(Probe, probe), HealthFile(None))
        end = keeper.keep(None)
    assert end.reason.startswith("Triton ended with status -9: ")
    assert "the last words" in end.reason
    assert end.has_answered
