"""The feature store: a folder of labelled clips' features, and where they come from.

manifest.json       version, profile, encoders' checksums, widths; once complete: every clip
splits.json         which clips are for training, validation and the test
clips/<sha256>.npz  one clip: id, label, fingerprint of its file, five feature arrays
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from training import features, splits
from training import manifest as manifest_file
from training.errors import LabelError, StoreError
from training.features import Sample
from training.manifest import MANIFEST, Manifest
from vemoclap_client import files
from vemoclap_client.contract import MODALITIES

SPLITS = "splits.json"
CLIPS = "clips"


class Store:
    """A store that can be read. Every sample is checked when it is."""

    def __init__(self, folder: Path) -> None:
        """Read the manifest and the splits.

        Raises:
            StoreError: there is no complete store of this version.
        """
        self.folder = folder
        self.manifest = manifest_file.read(folder)
        if not self.manifest.is_complete:
            raise StoreError(
                f"{folder} is unfinished: extracting its features was interrupted. Run again with "
                "the folder of clips, and it goes on where it stopped."
            )
        if _checksum(folder / SPLITS) != self.manifest.splits_sha256:
            raise StoreError(
                f"{folder / SPLITS} is not the one that the store was finished with. A test clip "
                "might have been moved into training: restore the file."
            )
        self.splits: dict[str, str] = read_splits(folder)

    @property
    def sha256(self) -> str:
        """The manifest's checksum, which pins every clip, label and split."""
        return files.checksum(self.folder / MANIFEST)

    def ids(self, split: str) -> list[str]:
        """Return the ids of "train", "validation" or "test", sorted."""
        return sorted(name for name, part in self.splits.items() if part == split)

    def samples(self, split: str) -> list[Sample]:
        """Return a split's samples, in the order of `ids`.

        Raises:
            StoreError: a clip's file is missing or damaged.
            FeatureError: a clip's features are no numbers, or of another width.
        """
        return [self.sample(name) for name in self.ids(split)]

    def sample(self, name: str) -> Sample:
        """Return one sample; raises as `samples` does."""
        entry = self.manifest.clips[name]
        path = self.folder / CLIPS / entry["file"]
        if _checksum(path) != entry["sha256"]:
            raise StoreError(f"{path} (clip {name}) is missing, or has been changed or damaged")
        sample, _ = _read_clip(path)
        features.check(name, sample.features, self.manifest.widths)
        return sample


class Writer:
    """Fills a store. What is in it already stays: an interrupted extraction goes on."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Begin a store, or go on with one.

        Raises:
            StoreError: there is one of another version.
            ProfileMismatchError: there is one of other encoders.
        """
        self.folder = folder
        self.manifest = manifest
        if (folder / MANIFEST).exists():
            self.manifest = manifest_file.read(folder)
            manifest_file.check_same(self.manifest, manifest, folder)
        else:
            manifest_file.write(folder, manifest)

    def has(self, name: str, label: str, fingerprint: str) -> bool:
        """Whether a clip is there, made of this very file and under this label."""
        path = self._path(name)
        try:
            sample, of = _read_clip(path)
        except StoreError:
            return False
        return sample.id == name and sample.label == label and of == fingerprint

    def add(self, sample: Sample, fingerprint: str) -> None:
        """Write a clip.

        Raises:
            FeatureError: its features are no numbers, or of another width.
            OutputError: the disk is full.
        """
        features.check(sample.id, sample.features, self.manifest.widths)
        arrays: dict[str, Any] = {name: sample.features[name] for name in MODALITIES}
        about = {"id": sample.id, "label": sample.label, "fingerprint": fingerprint}
        files.write(
            self._path(sample.id),
            lambda file: np.savez(file, allow_pickle=False, about=json.dumps(about), **arrays),
            # The manifest has its checksum: what a power cut takes is noticed and made again.
            synced=False,
        )

    def finish(
        self, labels: Mapping[str, str], seed: int, given: Mapping[str, str] | None = None
    ) -> Store:
        """Split the clips, list them in the manifest, and return the store.

        Args:
            labels: id -> emotion of every clip that belongs to it; others there are left out.
            seed: of the split, and of the clips for validation where the given one has none.
            given: id -> split, where the data set comes with one.

        Raises:
            LabelError: there is one class only, or one has too few clips.
        """
        kept = read_splits(self.folder) if (self.folder / SPLITS).exists() else None
        parts = _given(labels, given, seed, kept) if given else splits.split(labels, seed, kept)
        listed = {part: [n for n, of in parts.items() if of == part] for part in splits.SPLITS}
        entries = {name: self._entry(name, labels[name]) for name in parts}
        is_drawn = given is None or splits.VALIDATION not in given.values()
        drawn = {"seed": seed if is_drawn else None, **listed}
        files.write_text(self.folder / SPLITS, json.dumps(drawn, indent=1) + "\n")
        complete = replace(
            self.manifest,
            clips=dict(sorted(entries.items())),
            splits_sha256=files.checksum(self.folder / SPLITS),
        )
        manifest_file.write(self.folder, complete)
        return Store(self.folder)

    def _entry(self, name: str, label: str) -> dict[str, str]:
        path = self._path(name)
        return {"label": label, "file": path.name, "sha256": files.checksum(path)}

    def _path(self, name: str) -> Path:
        # An id may be any text, a path of any length included.
        encoded = name.encode(errors="surrogateescape")
        return self.folder / CLIPS / f"{hashlib.sha256(encoded).hexdigest()}.npz"


def read_splits(folder: Path) -> dict[str, str]:
    """Return id -> split.

    Raises:
        StoreError: the file is missing or damaged.
    """
    path = folder / SPLITS
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {name: part for part in splits.SPLITS for name in document[part]}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path} cannot be read: {error!r}") from error


def _given(
    labels: Mapping[str, str],
    given: Mapping[str, str],
    seed: int,
    kept: Mapping[str, str] | None,
) -> dict[str, str]:
    """The data set's own split, of the clips that are there."""
    there = {name: part for name, part in sorted(given.items()) if name in labels}
    parts = splits.with_validation(there, labels, seed, kept)
    for part in splits.SPLITS:
        if not any(of == part for of in parts.values()):
            raise LabelError(f"the split has no clip for {part}")
    in_training = {labels[name]: part for name, part in parts.items() if part == splits.TRAIN}
    if len(in_training) < 2:
        raise LabelError("fewer than two emotions are in the training split")
    return parts


def _read_clip(path: Path) -> tuple[Sample, str]:
    """A clip's sample, unchecked, and its fingerprint."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            about = json.loads(str(archive["about"]))
            rows = {name: archive[name].astype(np.float32) for name in MODALITIES}
        return Sample(about["id"], about["label"], rows), about["fingerprint"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path} cannot be read as a clip's features: {error!r}") from error


def _checksum(path: Path) -> str:
    return files.checksum(path) if path.is_file() else ""
