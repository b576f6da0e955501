"""The head that VEMOCLAP's authors trained on Ekman-6: fetched from their repository by users."""

from dataclasses import dataclass
from pathlib import Path

from export.errors import LicenceError
from export.weights import fetch_all

NAME = "authors"
"""In place of a file's path, `--head authors`."""
LICENCE = "GPL-3"
ARTIFACTS = ("authors_head", "authors_stats")


@dataclass(frozen=True)
class AuthorsHead:
    """The fetched files: the checkpoint and the ranges of the features (stats.pt)."""

    checkpoint: Path
    stats: Path


def fetch(accepted: str | None) -> AuthorsHead:
    """Return the files, from the cache where they are there already.

    Args:
        accepted: the licence that the user accepts.

    Raises:
        LicenceError: it is not that of the head.
        WeightsError: the files cannot be had.
    """
    if accepted != LICENCE:
        raise LicenceError(
            "the authors' head is their work under the GNU General Public License, version 3: what "
            "you pass on together with it comes under that licence too. If you accept it, run "
            f"again with --accept {LICENCE} (make: ACCEPT={LICENCE})."
        )
    return AuthorsHead(*fetch_all(ARTIFACTS).values())
