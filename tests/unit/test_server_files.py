"""What a launcher keeps in shared folders, and what it removes there."""

import fcntl
from pathlib import Path

import pytest

from server import errors
from server.__main__ import main
from server.files import remove_leftovers, reserved_name, write_atomically
from vemoclap_client.errors import VemoclapError


def make_leftovers(folder: Path, name: str) -> Path:
    """The lock, a region and a folder of a launcher of this name; returns the lock."""
    (folder / f"{name}_files").mkdir()
    (folder / f"{name}_files" / "triton.log").touch()
    (folder / f"{name}_region").touch()
    lock = folder / f"{name}.lock"
    lock.touch()
    return lock


def test_a_reserved_name_takes_its_files_along(tmp_path: Path) -> None:
    with reserved_name([tmp_path]) as name:
        (tmp_path / f"{name}_region").touch()
        (tmp_path / f"{name}_files").mkdir()
        with reserved_name([tmp_path]) as other:
            assert other != name
        assert len(list(tmp_path.glob(f"{name}_*"))) == 2
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_dead_launcher_are_removed(tmp_path: Path) -> None:
    make_leftovers(tmp_path, "vemoclap_1_ab")  # Process 1 runs: here it is another.
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_launcher_in_another_container_stay(tmp_path: Path) -> None:
    lock = make_leftovers(tmp_path, "vemoclap_999999999_ab")  # No process has this id here.
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        remove_leftovers(tmp_path)
        assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("name", ["vemoclap-99999_x1", "vemoclap_99999_x1", ".vemoclap-fetch-1-x"])
def test_temporary_folders_of_others_stay(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with reserved_name([tmp_path]):
        pass
    assert folder.exists()


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    write_atomically(tmp_path / "ready.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["ready.json"]


def kinds_of(base: type[VemoclapError]) -> list[type[VemoclapError]]:
    return [base, *(kind for child in base.__subclasses__() for kind in kinds_of(child))]


def test_the_launchers_exit_codes_are_its_own() -> None:
    codes = [kind.exit_code for kind in kinds_of(errors.ServerStartError)]
    assert sorted(codes) == list(range(70, 80))
    others = set(kinds_of(VemoclapError)) - set(kinds_of(errors.ServerStartError))
    commands = {kind.exit_code for kind in others if kind.__module__ == "vemoclap_client.errors"}
    assert not commands & set(codes)


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["--grpc-port", "many"]])
def test_a_wrong_command_line_has_the_launchers_code(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == errors.UsageError.exit_code
