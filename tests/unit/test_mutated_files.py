"""Damaged and malicious files: each gives a result or a typed error, within its limits, no crash.

They are decoded in limited processes, which a crash ends alone and whose memory is measured. The
short form takes the first file of each kind of damage in each container (110), and the bombs.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.mutations import BOMBS, CONTAINERS, MUTATIONS, bombs, mutated, write_good
from vemoclap_client.errors import DecodingLimitError, VideoError
from vemoclap_client.limited import DecodingLimits, LimitedDecoder
from vemoclap_client.limited._messages import Ended
from vemoclap_client.limited._work import Work

LIMITS = DecodingLimits(processor_s=60, wait_s=600, memory_bytes=1_200_000_000)
"""Of the machine's processor time most is other tests': the wait is no measure of the file."""

LONG = 10
"""Files of each kind of damage in each container in the long form: 1,100 in all."""

WINDOW_S, HOP_S = 1.0, 0.5


class Attempts:
    """Decodes files and counts what came out."""

    def __init__(self, decoder: LimitedDecoder, ended: list[Ended | None]) -> None:
        self.outcomes: Counter[str] = Counter()
        self.costs: list[tuple[float, int, str]] = []
        """Of each attempt the processor time in seconds, the peak of memory in bytes, the file."""
        self._decoder = decoder
        self._ended = ended

    def decode(self, path: Path) -> None:
        self._attempt(path, lambda: self._decoder.decode(path))

    def decode_parts(self, path: Path) -> None:
        parts = self._decoder.decode_parts(path, WINDOW_S, HOP_S)
        self._attempt(path, lambda: deque(parts, maxlen=0))

    def _attempt(self, path: Path, decode: Callable[[], Any]) -> None:
        outcome = "result"
        try:
            decode()
        except VideoError as error:
            assert "crash" not in str(error), error
            assert not isinstance(error, DecodingLimitError) or "windows" in str(error), error
            outcome = type(error).__name__
        # Any other error is a fault of this program, and fails the test.
        self.outcomes[outcome] += 1
        ended = self._ended[-1]
        assert ended is not None, path
        self.costs.append((ended.processor_s, ended.peak_bytes, path.name))

    def report(self) -> None:
        """Prints what came out, for `pytest -s`."""
        slowest, largest = max(self.costs), max(self.costs, key=lambda cost: cost[1])
        print(
            f"\n{dict(self.outcomes)}; slowest {slowest[2]}: {slowest[0]} s of the processor; "
            f"most memory {largest[2]}: {largest[1] / 1e6:.0f} MB; "
            f"in all {sum(cost[0] for cost in self.costs):.1f} s"
        )


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Attempts]:
    ended: list[Ended | None] = []
    close = Work.close

    def close_and_note(work: Work) -> None:
        with suppress(OSError):
            work._messages.close()
        ended.append(work.end())
        close(work)

    monkeypatch.setattr(Work, "close", close_and_note)
    with LimitedDecoder(LIMITS) as decoder:
        yield Attempts(decoder, ended)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Suffix -> a good file."""
    folder = tmp_path_factory.mktemp("good")
    return {suffix: write_good(container, folder) for suffix, container in CONTAINERS.items()}


def test_the_files_are_good_before(good: dict[str, Path], attempts: Attempts) -> None:
    for path in good.values():
        attempts.decode_parts(path)
    assert attempts.outcomes["result"] == len(CONTAINERS) == 10


def test_the_same_seeds_make_the_same_files(good: dict[str, Path], tmp_path: Path) -> None:
    made: list[list[bytes]] = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        files = mutated(CONTAINERS["mkv"], good["mkv"], folder, 2)
        made.append([path.read_bytes() for path in files])
    assert made[0] == made[1]
    assert len(set(made[0])) > len(MUTATIONS)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_damage(suffix: str, good: dict[str, Path], tmp_path: Path, attempts: Attempts) -> None:
    run_all(mutated(CONTAINERS[suffix], good[suffix], tmp_path, 1), attempts, 5)


@pytest.mark.soak
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_much_damage(
    suffix: str, good: dict[str, Path], tmp_path: Path, attempts: Attempts
) -> None:
    files = mutated(CONTAINERS[suffix], good[suffix], tmp_path, LONG)
    assert run_all(files, attempts, 2) == len(MUTATIONS) * LONG


def run_all(files: Iterable[Path], attempts: Attempts, parts_of_every: int) -> int:
    count = 0
    for path in files:
        attempts.decode(path)
        if count % parts_of_every == 0:
            attempts.decode_parts(path)
        path.unlink()
        count += 1
    attempts.report()
    return count


QUICK = [name for name in BOMBS if not name.startswith(("large", "tracks-900", "pictures"))]


def test_bombs(good: dict[str, Path], tmp_path: Path, attempts: Attempts) -> None:
    for path in bombs(tmp_path, good, QUICK):
        attempts.decode(path)
        attempts.decode_parts(path)


@pytest.mark.soak
def test_large_bombs(good: dict[str, Path], tmp_path: Path, attempts: Attempts) -> None:
    for path in bombs(tmp_path, good, BOMBS):
        attempts.decode(path)
        attempts.decode_parts(path)
    attempts.report()
