"""Makes file names of titles, and files in their places."""

import unicodedata
from collections.abc import Iterator
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
    """A title as a file's name without suffix: one that is good on any system, never empty."""
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


def place(file: Path, target: Path) -> Path:
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


def place_in(file: Path, folder: Path, title: str) -> Path:
    """Moves a file into a folder, named after a title, with a number where the name is taken.

    Raises:
        OutputError: the folder cannot be written to.
    """
    for name in numbered(safe_name(title)):
        target = folder / f"{name}{file.suffix}"
        if not target.exists():
            return place(file, target)
    raise AssertionError("numbers do not end")
