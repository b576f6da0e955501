"""What an entry admits and refuses, also together with other processes."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from server.slots.admission import Admission, BusyError, Limits, TooLargeError
from tests.launching import PROJECT
from vemoclap_client.contract import BUSY

MB = 1_000_000


def test_clips_are_admitted_up_to_the_limit_and_again_after_an_answer() -> None:
    admission = Admission(Limits(3, 100 * MB))
    first = admission.admit(1, MB)
    admission.admit(2, MB)
    with pytest.raises(BusyError, match="3 clips of 2 MB are at work, and at most 3 clips"):
        admission.admit(1, MB)
    admission.release(first)
    admission.admit(1, MB)


def test_bytes_are_limited_too() -> None:
    admission = Admission(Limits(3, 100 * MB))
    large = admission.admit(1, 90 * MB)
    with pytest.raises(BusyError):
        admission.admit(1, 11 * MB)
    admission.admit(1, 10 * MB)
    admission.release(large)
    admission.admit(1, 90 * MB)


@pytest.mark.parametrize(("clips", "size"), [(4, MB), (1, 101 * MB)])
def test_what_can_never_be_admitted_is_not_called_busy(clips: int, size: int) -> None:
    with pytest.raises(TooLargeError, match="at most 3 clips of 100 MB"):
        Admission(Limits(3, 100 * MB)).admit(clips, size)


def hint_s(admission: Admission) -> float:
    with pytest.raises(BusyError) as raised:
        admission.admit(1, MB)
    found = re.match(rf"{BUSY} (\d+\.\d) s: ", str(raised.value))
    assert found
    return float(found[1])


def test_the_hint_is_how_long_half_of_what_is_at_work_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    admission = Admission(Limits(4, 100 * MB))
    work = [admission.admit(1, MB) for _ in range(4)]
    assert hint_s(admission) == 2.0
    for clip in work:
        now += 3.0  # A clip in three seconds, after a long pause too.
        admission.release(clip)
    now += 1000.0
    for _ in range(4):
        admission.admit(1, MB)
    assert hint_s(admission) == 6.0


def test_several_processes_count_together_and_a_killed_one_no_more(tmp_path: Path) -> None:
    file = tmp_path / "at_work"
    program = (
        "import sys; from pathlib import Path\n"
        "from server.slots.admission import Admission, Limits\n"
        "admission = Admission(Limits(3, 10**9), Path(sys.argv[1]))\n"
        "admission.admit(2, 10**6); print('admitted', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(file)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout and other.stdout.readline() == b"admitted\n"
    admission = Admission(Limits(3, 10**9), file)
    admission.admit(1, MB)
    with pytest.raises(BusyError):
        admission.admit(1, MB)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    # What is started in place of the killed one takes its row, and begins with nothing at work.
    Admission(Limits(3, 10**9), file).admit(2, MB)
    with pytest.raises(BusyError):
        admission.admit(1, MB)
