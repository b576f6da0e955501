"""docs/from-the-paper.md names each slot, and none that is not there."""

import re

from export.registry import PROFILES
from tests.launching import PROJECT

PAGE = (PROJECT / "docs" / "from-the-paper.md").read_text()
SLOTS = {path.parent.name for path in PROJECT.glob("model_repository/*/config.pbtxt")}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    (table,) = re.findall(rf"^## {heading}\n\n(.*?)\n\n", f"{PAGE}\n\n", re.DOTALL | re.MULTILINE)
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]
    ]


def slots_of(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_each_slot_has_one_place() -> None:
    blocks = [name for row in rows("Each block of Figure 1") for name in slots_of(row[1])]
    others = [name for row in rows("What has no block in the figure") for name in slots_of(row[0])]
    assert sorted(blocks + others) == sorted(SLOTS)


def test_what_a_profile_leaves_empty_is_said() -> None:
    for _, cell, paper, embedded in rows("Each block of Figure 1"):
        for slot in slots_of(cell):
            if slot in PROFILES["paper"]:
                assert paper != "empty"
                assert (embedded == "empty") == (slot not in PROFILES["embedded"]), slot


def test_what_differs_is_said_of_each_block() -> None:
    differs = PAGE.split("## What differs in each block, and why")[1]
    blocks = [row[0] for row in rows("Each block of Figure 1")]
    assert re.findall(r"^- \*\*(.*?)\*\*:", differs, re.MULTILINE) == blocks
