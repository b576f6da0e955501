"""How a Triton and the libraries it needs are found."""

from pathlib import Path

import pytest

from server import installation
from server.errors import LibraryNotFoundError

LIBRARY = f"libpython{installation.PYTHON_VERSION}.so.1.0"


@pytest.fixture(autouse=True)
def no_libpython(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Python that was built without a shared library, as Debian's is."""
    monkeypatch.setattr(installation, "find_libpython", lambda: None)
    monkeypatch.setenv("VEMOCLAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_a_library_that_cannot_be_had_is_named_with_the_package_that_brings_it() -> None:
    with pytest.raises(LibraryNotFoundError, match="sudo apt-get install libpython3") as caught:
        installation._libpython_directory()
    assert LIBRARY in str(caught.value)


def test_a_download_that_brings_something_else_is_not_believed(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    with pytest.raises(LibraryNotFoundError):
        installation._libpython_directory()


def test_a_library_in_the_cache_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / f"libpython{installation.PYTHON_VERSION}" / "usr" / "lib"
    folder.mkdir(parents=True)
    (folder / LIBRARY).touch()
    assert installation._libpython_directory() == folder


@pytest.mark.parametrize("variable", ["VEMOCLAP_CACHE", "XDG_CACHE_HOME"])
def test_a_cache_may_be_in_the_home_folder(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VEMOCLAP_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, "~/kept")
    expected = tmp_path / "kept"
    assert installation._cache_directory() in (expected, expected / "vemoclap")


def test_what_is_freed_is_given_back_unless_it_was_decided_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "5")
    environment = installation._environment()
    assert environment["MALLOC_MMAP_THRESHOLD_"] == str(2**16)
    assert environment["MALLOC_TRIM_THRESHOLD_"] == "5"
