"""Safe names, files written whole or not at all, and what killed processes leave."""

import os
import re
from pathlib import Path

import pytest

from vemoclap_client.errors import OutputError
from vemoclap_client.files import (
    check_writable,
    locked,
    move_into,
    move_to,
    remove_leftovers,
    safe_name,
    workspace,
    write,
    write_text,
)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("A film: part 1/2", "A film_ part 1_2"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "video"),
        ("", "video"),
        ("///", "video"),
        ("-rf", "rf"),
        (".hidden", "hidden"),
        ("a\x00b\nc\u202ed", "a b c d"),
        ("\u732b" * 200, "\u732b" * 50),
        ("CON", "CON_"),
        ("con.mp4", "con.mp4_"),
        ("\udcff film", "? film".replace("?", "_")),
        ("  Gr\u00fc\u00dfe \U0001f600 ", "Gr\u00fc\u00dfe \U0001f600"),
    ],
)
def test_titles_become_safe_names(title: str, name: str) -> None:
    assert safe_name(title) == name
    assert re.fullmatch(r"[^/\\\x00-\x1f]+", name)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    for number in ("first", "second", "third"):
        source = tmp_path / "source.mp4"
        source.write_text(number)
        move_into(source, tmp_path, "A film")
    names = ["A film.mp4", "A film (2).mp4", "A film (3).mp4"]
    assert [(tmp_path / name).read_text() for name in names] == ["first", "second", "third"]
    source.write_text("fourth")
    with pytest.raises(OutputError, match="exists"):
        move_to(source, tmp_path / names[0])
    assert (tmp_path / names[0]).read_text() == "first"


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    (tmp_path / "source.mp4").touch()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        move_to(tmp_path / "source.mp4", tmp_path / "file" / "x.mp4")
    assert (tmp_path / "source.mp4").exists()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "cues.srt"
    write_text(file, "old")
    with pytest.raises(OutputError, match=r"cues\.srt"):
        write_text(file / "below a file", "new")
    assert file.read_text() == "old"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="folder"):
        write_text(tmp_path / "folder", "new")
    write_text(file, "new")
    assert file.read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cues.srt", "folder"]


@pytest.mark.parametrize("name", ["x" * 255, "\u732b" * 85, os.fsdecode(b"\xff" * 255)])
def test_a_name_may_be_as_long_as_the_disk_allows(name: str, tmp_path: Path) -> None:
    check_writable([tmp_path / name])
    write_text(tmp_path / name, "new")
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_a_name_too_long_is_said(tmp_path: Path) -> None:
    too_long = tmp_path / ("x" * 256)
    with pytest.raises(OutputError, match="cannot write"):
        check_writable([too_long])
    with pytest.raises(OutputError, match="cannot write"):
        write_text(too_long, "new")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "before")

    def fail(file: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        write(path, fail)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_two_results_never_share_a_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="two results"):
        check_writable([tmp_path / "a", tmp_path / "b", tmp_path / "a"])


def test_a_workspace_removes_what_killed_processes_left_and_nothing_else(tmp_path: Path) -> None:
    for name in (".work-killed", "work-of-others", ".work-new", ".work-old"):
        (tmp_path / name).mkdir()
    (tmp_path / ".work-killed" / "half.bin").touch()
    (tmp_path / ".work-link").symlink_to(tmp_path / "work-of-others")
    os.utime(tmp_path / ".work-old", (0, 0))
    with workspace(tmp_path, ".work-") as first:
        (first / "half.bin").touch()
        with workspace(tmp_path, ".work-") as second:
            left = {path.name for path in tmp_path.iterdir()}
            # A new, empty folder may not be locked yet.
            assert left == {first.name, second.name, "work-of-others", ".work-new", ".work-link"}
    assert not first.exists()
    assert not second.exists()


def test_a_locked_file_stays(tmp_path: Path) -> None:
    (tmp_path / "a.lock").touch()
    with locked(tmp_path / "a.lock"):
        with pytest.raises(BlockingIOError), locked(tmp_path / "a.lock", wait=False):
            pass
        remove_leftovers(tmp_path, "*.lock")
        assert (tmp_path / "a.lock").exists()
    remove_leftovers(tmp_path, "*.lock")
    assert not list(tmp_path.iterdir())
