"""Safe file names, files written whole or not at all, locks, and what killed processes leave."""

import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO

from vemoclap_client.errors import OutputError

NAME_MAX_BYTES = 150
"""File systems allow 255; a number and a suffix are added."""

SEPARATORS = '/\\:*?"<>|'
"""Mean something in a path, on one system or another."""

DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in range(10)
}
"""Names that Windows keeps for itself."""

UNFINISHED = ".partial"
"""Suffix of a file or folder that is being written."""

NEWEST_LEFTOVER_S = 60.0
"""An empty folder younger than this may not be locked yet."""


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
            is_device = file.exists() and not file.is_file() and not file.is_dir()
        except OSError as error:  # Also a name that is too long.
            raise OutputError(f"cannot write {file}: {error}") from error
        if file.is_dir() or not os.access(file if is_device else file.parent, os.W_OK):
            raise OutputError(
                f"cannot write {file}: it is a folder, or lies in one that is read-only"
            )


def write(path: Path, fill: Callable[[BinaryIO], object], synced: bool = True) -> None:
    """Writes a file beside its place, and renames it into place when it is complete.

    A link is followed and an earlier file's mode is kept; a device or pipe is written to in place.

    Args:
        path: where it goes; its folder is made.
        fill: writes the content.
        synced: whether to wait for the disk, so that the file survives a power cut too.

    Raises:
        OutputError: the disk is full, or the folder read-only. An earlier file is unchanged.
    """
    place = path.resolve()
    start = os.fsencode(place.name)[:NAME_MAX_BYTES].decode(errors="ignore")
    partial = place.with_name(f".{start}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists() and not place.is_file() and not place.is_dir():
            with place.open("wb") as device:
                fill(device)
            return
        with partial.open("xb") as file:
            if place.is_file():
                os.fchmod(file.fileno(), stat.S_IMODE(place.stat().st_mode))
            fill(file)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(place)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error}. What was there before is unchanged; make room, or "
            "choose another folder, and run again."
        ) from error
    finally:
        with suppress(OSError):  # It was renamed, or never came to be.
            partial.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes a file as UTF-8, with the text's own line ends; see `write`."""
    write(path, lambda file: file.write(text.encode()))


def checksum(path: Path) -> str:
    """The sha256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    """Puts a file into a new place, without a copy where the disk allows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # Another disk, or another user's file.
        shutil.copyfile(source, target)


def remove(path: Path) -> None:
    """Removes a file, or a folder with all in it; does nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Locks a file or folder against others that lock it, until the process ends at the latest.

    Raises:
        BlockingIOError: it is locked, and this is not to wait.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@contextmanager
def workspace(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder in `parent`, locked while in use and removed afterwards.

    Removes first what killed processes have left there under the same prefix.

    Raises:
        OSError: no folder can be made there.
    """
    remove_leftovers(parent, f"{prefix}*")
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix)).absolute()
    with locked(folder):
        try:
            yield folder
        finally:
            remove(folder)


def remove_leftovers(
    parent: Path, pattern: str, remove_one: Callable[[Path], object] = remove
) -> None:
    """Removes the files and folders that this user's killed processes have left.

    Args:
        parent: where they lie; it may be a folder that others write to, like /tmp.
        pattern: of their names.
        remove_one: removes one of them, which this process has locked.
    """
    for path in parent.glob(pattern):
        with suppress(OSError):  # Its process lives, or has just removed it.
            if _is_own(path):
                with locked(path, wait=False):
                    if not _may_be_new(path):
                        remove_one(path)


def _is_own(path: Path) -> bool:
    found = path.lstat()
    return found.st_uid == os.getuid() and not stat.S_ISLNK(found.st_mode)


def _may_be_new(path: Path) -> bool:
    """Whether it is a folder that its process may have made but not locked yet."""
    age_s = time.time() - path.stat().st_mtime
    return path.is_dir() and age_s < NEWEST_LEFTOVER_S and not any(path.iterdir())
