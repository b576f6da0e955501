"""Brings an artifact into the cache, verified."""

from collections.abc import Iterable
from pathlib import Path


def fetch(name: str) -> Path:
    """Return the path of an artifact's verified file, fetching it first where needed.

    Raises:
        UnknownNameError: the manifest has no such artifact.
        FetchError: no source could deliver it.
        ChecksumError: every source delivered something else.
    """
    raise NotImplementedError


def fetch_all(names: Iterable[str]) -> dict[str, Path]:
    """Return artifact name -> path of its verified file. Raises as `fetch` does."""
    return {name: fetch(name) for name in names}
