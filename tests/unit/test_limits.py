"""How much the server holds at once is chosen from the machine, and written for the entries."""

from pathlib import Path

import pytest

from server import limits
from server.limits import choose, is_entry, limited, memory_size
from server.repository import read_configs
from server.resources import SHARED_MEMORY_BYTES
from server.slots.admission import Limits
from tests.launching import PROJECT
from vemoclap_client import contract

GB = 2**30


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(limits, "processors", lambda: 4)
    monkeypatch.setattr(limits, "shared_memory_size", lambda: GB)
    monkeypatch.setattr(limits, "memory_size", lambda: 16 * GB)
    return monkeypatch


def test_clips_come_from_the_processors_and_bytes_from_the_memory(
    machine: pytest.MonkeyPatch,
) -> None:
    size = (GB - 64 * 2**20) // 7
    assert choose() == Limits(32, size, 128, size)
    machine.setattr(limits, "shared_memory_size", lambda: 100 * GB)
    assert choose().bytes_at_once == (8 * GB - 64 * 2**20) // 7
    assert choose(5, 7, 0, 0) == Limits(5, 7_000_000, 0, 0)


@pytest.mark.parametrize(("clips_at_once", "calls"), [(8, 32), (32, 32), (40, 40), (512, 512)])
def test_calls_grow_with_the_clips(clips_at_once: int, calls: int) -> None:
    assert Limits(clips_at_once).calls_at_once == calls


def test_the_least_shared_memory_is_enough_for_the_largest_clip(
    machine: pytest.MonkeyPatch,
) -> None:
    machine.setattr(limits, "shared_memory_size", lambda: SHARED_MEMORY_BYTES)
    frames = contract.FRAME_COUNT * contract.FRAME_SHORTER_SIDE_PX * 3
    frames *= contract.FRAME_LONGER_SIDE_MAX_PX
    sound = contract.AUDIO_MAX_S * contract.SAMPLE_RATE_HZ * 4
    assert choose().bytes_at_once > frames + sound


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [("memory.max", "max\n", None), ("memory.max", "1000\n", 1000), ("none", "", None)],
)
def test_the_control_group_limits_the_memory(
    tmp_path: Path, name: str, text: str, expected: int | None
) -> None:
    (tmp_path / name).write_text(text)
    assert memory_size(tmp_path) == (expected or memory_size(tmp_path / "none"))


def test_the_entries_count_in_one_file_and_other_slots_do_not(tmp_path: Path) -> None:
    file = tmp_path / "at_work"
    configs = read_configs(PROJECT / "model_repository")
    for name, config in limited(configs, Limits(3, 4, 5, 6), file).items():
        if not is_entry(configs[name]):
            assert config == configs[name]
            continue
        given = {key: value.string_value for key, value in config.parameters.items()}
        assert given.pop("ensemble").startswith("vemoclap")
        assert given == {
            "clips_at_once": "3",
            "bytes_at_once": "4",
            "clips_waiting": "5",
            "bytes_waiting": "6",
            "admission_file": str(file),
        }
