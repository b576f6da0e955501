"""Unpacks downloaded archives, each once, beside themselves."""

import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from training.errors import DataSetError
from vemoclap_client import files
from vemoclap_client.errors import OutputError

UNPACKED = "unpacked"
"""The folder that holds one folder for each archive, of its name."""

SUFFIXES = tuple(suffix for _, suffixes, _ in shutil.get_unpack_formats() for suffix in suffixes)

DAMAGED = (shutil.ReadError, tarfile.TarError, zipfile.BadZipFile, EOFError)


def unpack_all(folder: Path) -> Iterator[Path]:
    """Unpack the archives in a folder, and yield those that were not unpacked already.

    Raises:
        DataSetError: an archive is damaged.
        OutputError: the disk is full, or the folder read-only.
    """
    for archive in sorted(folder.iterdir()):
        if archive.name.endswith(SUFFIXES) and not (folder / UNPACKED / archive.name).exists():
            yield archive
            _unpack(archive, folder / UNPACKED)


def _unpack(archive: Path, folder: Path) -> None:
    """Whole or not at all. Members that would lie outside the folder are not written."""
    try:
        folder.mkdir(exist_ok=True)
        with files.workspace(folder, ".unpacking") as space:
            is_zip = archive.suffix == ".zip"
            shutil.unpack_archive(archive, space / "files", filter=None if is_zip else "data")
            (space / "files").replace(folder / archive.name)
    except DAMAGED as error:
        raise DataSetError(
            f"{archive} cannot be unpacked: {error}. Compare its checksum with the one on the "
            "record's page, and download it again."
        ) from error
    except OSError as error:
        raise OutputError(f"cannot unpack {archive} into {folder}: {error}") from error
