"""The lists that come with a data set: its split, and the clips that are mislabelled.

    splits.json      {split: [name, ...]}
    a blacklist      names, one a line

A name on a list may be a clip's id, or a part of it: with or without its folders and its suffix.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from training import splits
from training.errors import StoreError

SPLIT_NAMES = {
    "train": splits.TRAIN,
    "training": splits.TRAIN,
    "trn": splits.TRAIN,
    "val": splits.VALIDATION,
    "valid": splits.VALIDATION,
    "validation": splits.VALIDATION,
    "test": splits.TEST,
    "testing": splits.TEST,
    "tst": splits.TEST,
}
"""trn, val and tst are the authors' names in their splits of MovieNet."""

SUFFIX = re.compile(r"\.[A-Za-z0-9]{2,4}$")


@dataclass(frozen=True)
class Lists:
    """The files, where the data set comes with them."""

    splits: Path | None = None
    blacklist: Path | None = None


NO_LISTS = Lists()


@dataclass(frozen=True)
class Choice:
    """What the lists say of the clips that there are.

    Args:
        splits: id -> split; None: there is no list, and the split is to be drawn.
        skipped: id -> why the clip is left out.
        notes: what on the lists could not be used, for people.
    """

    splits: Mapping[str, str] | None
    skipped: Mapping[str, str]
    notes: tuple[str, ...] = ()


def choose(ids: Collection[str], lists: Lists) -> Choice:
    """Return which clips are used, and for what.

    Args:
        ids: of all clips.
        lists: of the data set.

    Raises:
        StoreError: a list cannot be read, a name on it may be several clips', or none of its names
            is a clip's.
    """
    parts: dict[str, str] | None = None
    skipped: dict[str, str] = {}
    notes: list[str] = []
    if lists.splits:
        named = _read_splits(lists.splits)
        matched = _match(named, ids, lists.splits, notes)
        parts = {name: named[listed] for listed, name in matched.items()}
        if len(parts) < len(matched):
            raise StoreError(f"{lists.splits} names a clip twice")
        skipped = {name: f"not in {lists.splits.name}" for name in ids if name not in parts}
    if lists.blacklist:
        matched = _match(_read_blacklist(lists.blacklist), ids, lists.blacklist, notes)
        skipped |= dict.fromkeys(matched.values(), "on the blacklist")
    return Choice(parts, skipped, tuple(notes))


def names_split(path: Path, part: str) -> bool:
    """Return whether a splits.json has clips for a split.

    Raises:
        StoreError: it cannot be read.
    """
    return part in _read_splits(path).values()


def _read_splits(path: Path) -> dict[str, str]:
    """Listed name -> split."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        parts = {str(name): SPLIT_NAMES[part] for part, ids in document.items() for name in ids}
        total = sum(len(ids) for ids in document.values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"{path} cannot be read as splits: {error!r}. It must be {{split: [id, ...]}} with "
            f"splits named {', '.join(SPLIT_NAMES)}."
        ) from error
    if total != len(parts):
        raise StoreError(f"{path} names a clip twice: it would be trained on and tested on")
    return parts


def _read_blacklist(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read as a blacklist: {error}") from error
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def _match(
    names: Iterable[str], ids: Collection[str], path: Path, notes: list[str]
) -> dict[str, str]:
    """Listed name -> id, of the names that are a clip's; notes how many are none's."""
    by_stem: dict[str, list[str]] = defaultdict(list)
    for one in ids:
        by_stem[_parts(one)[-1]].append(one)
    matched: dict[str, str] = {}
    unknown = []
    for name in names:
        found = [one for one in by_stem.get(_parts(name)[-1], ()) if _agree(name, one)]
        if name in found:
            found = [name]
        if len(found) > 1:
            raise StoreError(f"{path}: {name} may be {' or '.join(found)}")
        if found:
            matched[name] = found[0]
        else:
            unknown.append(name)
    if unknown:
        note = f"{path}: {len(unknown)} of {len(matched) + len(unknown)} names are no clip's, as "
        note += unknown[0]
        if not matched:
            raise StoreError(
                f"{note}; a clip is called {next(iter(ids), 'nothing: there is none')}"
            )
        notes.append(note)
    return matched


def _agree(listed: str, name: str) -> bool:
    """Whether one is the end of the other."""
    pairs = zip(reversed(_parts(listed)), reversed(_parts(name)), strict=False)
    return all(one == other for one, other in pairs)


def _parts(name: str) -> tuple[str, ...]:
    """Folders in lower case, and the name without a suffix."""
    *folders, last = PurePosixPath(name.replace("\\", "/")).parts or ("",)
    return (*(folder.lower() for folder in folders), SUFFIX.sub("", last))
