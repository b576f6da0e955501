"""File names made of titles, and files written whole or not at all, never over others' files."""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path

from vemoclap_client.errors import OutputError

NAME_MAX_BYTES = 150
"""File systems allow 255; a number and a suffix are added."""

SEPARATORS = '/\\:*?"<>|'
"""Mean something in a path, on one system or another."""

DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in range(10)
}
"""Names that Windows keeps for itself."""


def safe_name(title: str) -> str:
    """A title as a file name without suffix, which any system allows; never empty."""
    text = unicodedata.normalize("NFC", title.encode("utf-8", "replace").decode())
    text = "".join("_" if character in SEPARATORS else character for character in text)
    # Control and format characters: a name could be made to read backwards.
    text = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    text = " ".join(text.split()).encode()[:NAME_MAX_BYTES].decode("utf-8", "ignore")
    text = text.strip(" .").lstrip("-~ .")
    if not text.strip("_"):
        return "video"
    return f"{text}_" if text.split(".")[0].lower() in DEVICES else text


def numbered(name: str) -> Iterator[str]:
    """The name, then the name with numbers."""
    return chain([name], (f"{name} ({number})" for number in count(2)))


def move_to(file: Path, target: Path) -> Path:
    """Moves a file, within its file system, to a name that was free.

    Raises:
        OutputError: the name is taken, or cannot be written.
    """
    try:
        target.touch(exist_ok=False)  # Takes the name: replace would overwrite another's file.
        file.replace(target)
    except FileExistsError as error:
        raise OutputError(f"{target} exists already, and is not overwritten") from error
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error}") from error
    return target


def move_into(file: Path, folder: Path, title: str) -> Path:
    """Moves a file into a folder, named after a title, with a number where the name is taken.

    Raises:
        OutputError: the folder cannot be written to.
    """
    for name in numbered(safe_name(title)):
        target = folder / f"{name}{file.suffix}"
        if not target.exists():
            return move_to(file, target)
    raise AssertionError("numbers do not end")


def check_writable(files: Iterable[Path]) -> None:
    """Returns if all files can be written; makes their folders.

    Raises:
        OutputError: a folder cannot be made or written to, or a file is named twice.
    """
    files = list(files)
    shared = sorted({str(file) for file in files if files.count(file) > 1})
    if shared:
        raise OutputError(f"two results would both be written to {', '.join(shared)}. Rename one.")
    for file in files:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder for {file}: {error}") from error
        if file.is_dir() or not os.access(file.parent, os.W_OK):
            raise OutputError(
                f"cannot write {file}: it is a folder, or lies in one that is read-only"
            )


def write_text(text: str, file: Path) -> None:
    """Writes a file as UTF-8, with the text's own line ends, and renames it into place.

    Raises:
        OutputError: it cannot be written.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        # A name's undecodable bytes come out as \udcXX, which is how JSON writes them too.
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        partial.replace(file)
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error}") from error
    finally:
        with suppress(OSError):  # It was renamed, or never came to be.
            partial.unlink()
