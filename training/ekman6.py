"""Ekman-6 as its two Zenodo records publish it: which of the downloaded files is what.

What is known of the records is that one has features and ekman6_blacklist.txt, and the other raw
videos and features. Their other files' names are not: files are recognised by what they must be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training import unpacking
from training.errors import DataSetError
from vemoclap_client.contract import EMOTIONS

NAME = "Ekman-6"
FEATURES, VIDEOS = FORMS = ("features", "videos")
SPLIT, BLACKLIST = "split", "blacklist"

EXPLANATION = """\
Ekman-6 comes from two records, which you download yourself:
  https://zenodo.org/records/13624583   features, and ekman6_blacklist.txt (mislabelled videos)
  https://zenodo.org/records/17159328   raw videos, and features
Sizes, licences and checksums are on these pages. Put into the folder {folder}, as they are:
  features   a pickle: {{"samples": {{id: {{"labels", "features"}}}}, "stats", "idx_to_label"}};
             or videos, an archive or a folder with anger/*, disgust/*, ... somewhere in it
  split      *split*.json: {{"train" or "trn": [id, ...], "val": ..., "test" or "tst": ...}}
  blacklist  *blacklist*.txt: ids, one a line
and run again (another folder: make train DATA=ekman6 EKMAN6=folder).
Features need minutes on a processor; videos go through your server's encoders first.
See docs/training.md#ekman-6."""


PATTERNS = {FEATURES: "*.pkl", SPLIT: "*split*.json", BLACKLIST: "*blacklist*.txt"}


@dataclass(frozen=True)
class Download:
    """The files of the data set that are there, unpacked.

    Args:
        folder: that holds them.
        found: features, videos, split, blacklist -> all that may be it.
    """

    folder: Path
    found: Mapping[str, Sequence[Path]]

    def only(self, what: str) -> Path | None:
        """Return the one there is; of several, the one of Ekman-6: a record has other data too.

        Raises:
            DataSetError: several may be meant.
        """
        found = self.found[what]
        named = [path for path in found if "ekman" in str(path.relative_to(self.folder)).lower()]
        chosen = found if len(found) == 1 else named
        if found and len(chosen) != 1:
            raise DataSetError(
                f"the {what} may be any of {', '.join(map(str, found))}: move away what is not "
                "to be used"
            )
        return chosen[0] if chosen else None

    def data(self, wanted: str | None) -> tuple[str, Path]:
        """Return the form of the data, "features" or "videos", and where they are.

        Args:
            wanted: a form, or None for features where they are there, else videos.

        Raises:
            DataSetError: there are none, or several may be meant.
        """
        for form in (wanted,) if wanted else FORMS:
            if path := self.only(form):
                return form, path
        raise missing(self.folder, f"no {wanted or 'features and no videos'} of {NAME}")


def find(folder: Path, report: Callable[[str], None] = print) -> Download:
    """Return what has been downloaded; unpack what is packed.

    Args:
        folder: that holds the downloaded files.
        report: told what is being unpacked.

    Raises:
        DataSetError: there is no such folder, or an archive is damaged.
        OutputError: an archive cannot be unpacked: the disk is full, or the folder read-only.
    """
    if not folder.is_dir():
        raise missing(folder, "no such folder")
    for archive in unpacking.unpack_all(folder):
        report(f"unpacking {archive} ({archive.stat().st_size / 1e9:.1f} GB)")
    paths = [path for path in sorted(folder.rglob("*")) if _is_shown(path, folder)]
    found = {what: [p for p in paths if p.match(pattern)] for what, pattern in PATTERNS.items()}
    videos = {path.parent for path in paths if path.name.lower() in EMOTIONS and path.is_dir()}
    outermost = sorted(path for path in videos if videos.isdisjoint(path.parents))
    return Download(folder, {**found, VIDEOS: outermost})


def missing(folder: Path, what: str) -> DataSetError:
    """Return the error that says what is missing, what is there, and what is to be done."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    names = ", ".join(path.name for path in found[:10]) or "nothing"
    rest = f" and {len(found) - 10} more" if len(found) > 10 else ""
    return DataSetError(
        f"{folder}: {what} (there is: {names}{rest}).\n{EXPLANATION.format(folder=folder)}"
    )


def _is_shown(path: Path, folder: Path) -> bool:
    """Archives made on a Mac hold a copy of every name in a folder __MACOSX."""
    parts = path.relative_to(folder).parts
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)
