"""What an entry admits, lets wait and refuses, also together with other processes."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.slots.admission import Admission, BusyError, Limits, Place, TooLargeError
from tests.launching import PROJECT
from vemoclap_client.contract import BUSY

MB = 1_000_000
NO_QUEUE = Limits(3, 100 * MB, 0, 0)
LIMITS = Limits(3, 100 * MB, 4, 100 * MB)


def full(limits: Limits) -> tuple[Admission, list[Place]]:
    """As many clips at work as there may be."""
    admission = Admission(limits)
    return admission, [admission.arrive(1, MB) for _ in range(limits.clips_at_once)]


def test_without_a_queue_clips_are_admitted_up_to_the_limit_and_again_after_an_answer() -> None:
    admission = Admission(NO_QUEUE)
    first = admission.arrive(1, MB)
    assert first.admitted
    admission.arrive(2, MB)
    with pytest.raises(BusyError, match="3 clips of 2 MB are at work and 0 clips of 0 MB wait"):
        admission.arrive(1, MB)
    admission.leave(first)
    assert admission.arrive(1, MB).admitted


def test_bytes_are_limited_too() -> None:
    admission = Admission(NO_QUEUE)
    large = admission.arrive(1, 90 * MB)
    with pytest.raises(BusyError):
        admission.arrive(1, 11 * MB)
    admission.arrive(1, 10 * MB)
    admission.leave(large)
    assert admission.arrive(1, 90 * MB).admitted


@pytest.mark.parametrize(("clips", "size"), [(4, MB), (1, 101 * MB)])
def test_what_can_never_be_admitted_is_not_called_busy(clips: int, size: int) -> None:
    with pytest.raises(TooLargeError, match="at most 3 clips of 100 MB"):
        Admission(LIMITS).arrive(clips, size)


def test_those_that_wait_are_admitted_in_the_order_of_their_arrival() -> None:
    admission, work = full(LIMITS)
    two, one = admission.arrive(2, MB), admission.arrive(1, MB)
    assert not (two.admitted or one.admitted)
    assert admission.admit() is None
    admission.leave(work[0])
    # One clip would have room, but two came before it; and nobody who comes now overtakes them.
    assert admission.admit() is None
    last = admission.arrive(1, MB)
    assert not last.admitted
    admission.leave(work[1])
    assert admission.admit() is two
    assert two.admitted
    assert admission.admit() is None
    admission.leave(two)
    assert [admission.admit(), admission.admit()] == [one, last]


def test_who_gives_up_while_waiting_leaves_the_others_their_turn() -> None:
    admission, work = full(LIMITS)
    two, one = admission.arrive(2, MB), admission.arrive(1, MB)
    admission.leave(work[0])
    admission.leave(two)
    assert admission.admit() is one
    for place in (one, *work[1:]):
        admission.leave(place)
    assert admission.arrive(3, 100 * MB).admitted, "something is still counted"


def test_a_full_queue_refuses_until_half_of_it_is_gone() -> None:
    admission, work = full(LIMITS)
    for _ in range(4):
        admission.arrive(1, MB)
    with pytest.raises(BusyError, match="3 MB are at work and 4 clips of 4 MB wait"):
        admission.arrive(1, MB)
    admission.leave(work[0])
    assert admission.admit()
    with pytest.raises(BusyError):
        admission.arrive(1, MB)
    admission.leave(work[1])
    assert admission.admit()
    admission.arrive(2, MB)
    with pytest.raises(BusyError):
        admission.arrive(1, MB)


def test_a_queue_is_full_of_bytes_too_and_takes_any_one_request() -> None:
    admission, work = full(LIMITS)
    admission.arrive(1, 100 * MB)
    with pytest.raises(BusyError):
        admission.arrive(1, MB)
    for place in work:
        admission.leave(place)
    assert admission.admit()
    assert not admission.arrive(1, MB).admitted


@pytest.mark.parametrize("clip_s", [1.0, 3.0])
@pytest.mark.parametrize(
    ("limits", "waiting", "clips_before"),
    [
        (Limits(4, 100 * MB, 0, 0), [], 2.0),  # Half of what is at work.
        (Limits(4, 100 * MB, 6, 100 * MB), [MB] * 6, 3.0),  # Half of what may wait.
        # The share of 81 MB that is more than half of what may wait, of five clips.
        (Limits(4, 100 * MB, 9, 100 * MB), [MB, *[20 * MB] * 4], 5 * 31 / 81),
    ],
)
def test_the_hint_is_how_long_it_takes_until_there_is_room(
    limits: Limits,
    waiting: list[int],
    clips_before: float,
    clip_s: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    admission, work = full(limits)
    if clip_s != 1.0:  # Which is assumed before the first answer.
        for clip in work:
            now += clip_s
            admission.leave(clip)
        now += 1000.0  # A pause does not count.
        for _ in work:
            admission.arrive(1, MB)
    for size in waiting:
        admission.arrive(1, size)
    with pytest.raises(BusyError) as raised:
        admission.arrive(1, 30 * MB)
    found = re.match(rf"{BUSY} (\d+\.\d) s: ", str(raised.value))
    assert found
    assert float(found[1]) == pytest.approx(clips_before * clip_s, abs=0.05)


PROGRAM = """
import sys
from pathlib import Path
from server.slots.admission import Admission, BusyError, Limits
admission = Admission(Limits(3, 10**9, 4, 10**9), Path(sys.argv[1]))
places = []
for line in sys.stdin:
    match line.split():
        case ["arrive", clips]:
            try:
                places.append(admission.arrive(int(clips), 10**6))
                answer = "at work" if places[-1].admitted else "waits"
            except BusyError:
                answer = "busy"
        case ["admit"]:
            answer = "admitted" if admission.admit() else "nobody"
        case ["leave"]:
            answer = str(admission.leave(places.pop(0)))
    print(answer, flush=True)
"""


class Process:
    """An Admission in a process of its own."""

    def __init__(self, file: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(file)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def does(self, command: str) -> str:
        assert self.process.stdin and self.process.stdout
        print(command, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[Process]]:
    running = [Process(tmp_path / "at_work") for _ in range(3)]
    yield running
    for process in running:
        process.kill()


def test_several_processes_keep_the_limits_and_the_order_together(
    processes: list[Process],
) -> None:
    one, two, three = processes
    assert [one.does("arrive 2"), two.does("arrive 1")] == ["at work", "at work"]
    waiting = [three.does("arrive 1"), one.does("arrive 2"), three.does("arrive 1")]
    assert waiting == ["waits"] * 3
    assert two.does("arrive 1") == "busy", "four clips wait, of all processes"
    two.does("leave")
    # Only the one that came first may go on, though there is room.
    assert [one.does("admit"), two.does("admit"), three.does("admit")] == [
        "nobody",
        "nobody",
        "admitted",
    ]
    one.does("leave")
    assert [three.does("admit"), one.does("admit")] == ["nobody", "admitted"]
    three.does("leave")
    assert three.does("admit") == "admitted"


def test_what_a_killed_process_had_ends_with_the_one_in_its_place(
    processes: list[Process], tmp_path: Path
) -> None:
    one, two, _ = processes
    assert [one.does("arrive 3"), one.does("arrive 1")] == ["at work", "waits"]
    assert two.does("arrive 1") == "waits"
    one.kill()
    assert two.does("admit") == "nobody"
    processes.append(Process(tmp_path / "at_work"))
    assert processes[-1].does("admit") == "nobody"
    assert two.does("admit") == "admitted"
    assert processes[-1].does("arrive 2") == "at work"
