"""Reads manifest.toml, the list of everything that is fetched."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MANIFEST = Path(__file__).with_name("manifest.toml")


@dataclass(frozen=True)
class Artifact:
    """One file that is fetched, verified and cached.

    Args:
        name: its name in this manifest.
        slot: the slot it fills, or "samples".
        registry: "pypi" or "npm".
        packages: "name==version" of each package that holds a part of it, in order.
        members: path inside each package, in the same order; the parts are concatenated.
        sha256: of the resulting file, 64 hexadecimal digits.
        size_bytes: of the resulting file.
        licence: SPDX expression, and a word on whose it is where the terms ask for one.
        second_source: address of the very same file elsewhere, or None.
    """

    name: str
    slot: str
    registry: str
    packages: tuple[str, ...]
    members: tuple[str, ...]
    sha256: str
    size_bytes: int
    licence: str
    second_source: str | None = None


@cache
def artifacts() -> dict[str, Artifact]:
    """Return every artifact by its name, in the manifest's order."""
    tables = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))
    return {name: _artifact(name, table) for name, table in tables.items()}


def _artifact(name: str, table: dict[str, object]) -> Artifact:
    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    return Artifact(name=name, **(table | lists))  # type: ignore[arg-type]
