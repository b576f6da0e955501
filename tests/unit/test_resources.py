"""What the launcher asks of the machine."""

import shutil
from collections import namedtuple

import pytest

from server.errors import SharedMemoryTooSmallError
from server.resources import check_shared_memory

Usage = namedtuple("Usage", "total used free")


def test_a_containers_default_of_shared_memory_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(64 << 20, 0, 64 << 20))
    with pytest.raises(SharedMemoryTooSmallError, match=r"64 MB.*--shm-size=1g"):
        check_shared_memory()


def test_enough_shared_memory_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 30, 0, 1 << 30))
    check_shared_memory()
