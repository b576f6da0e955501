"""Writes results into files: whole or not at all."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from vemoclap_client.errors import OutputError
from vemoclap_client.result import EmotionResult
from vemoclap_client.timeline import Timeline


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


def format_json(result: EmotionResult | Timeline) -> str:
    """A result as its published JSON."""
    return json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n"


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
