"""How much the server holds at once is chosen from the machine, and written for the entries."""

from pathlib import Path

import pytest

from server import limits
from server.limits import choose, is_entry, limited, memory_size
from server.repository import read_configs
from server.slots.admission import Limits
from tests.launching import PROJECT

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
    assert choose() == Limits(32, (GB - 64 * 2**20) // 6)
    machine.setattr(limits, "shared_memory_size", lambda: 100 * GB)
    assert choose().size == (8 * GB - 64 * 2**20) // 6
    assert choose(clips=5, megabytes=7) == Limits(5, 7_000_000)


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
    for name, config in limited(configs, Limits(3, 4), file).items():
        if not is_entry(configs[name]):
            assert config == configs[name]
            continue
        given = {key: value.string_value for key, value in config.parameters.items()}
        assert given.pop("ensemble").startswith("vemoclap")
        assert given == {
            "clips_at_once": "3",
            "bytes_at_once": "4",
            "admission_file": str(file),
        }
