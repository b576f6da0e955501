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
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from export import files
from training import features, splits
from training.errors import FeatureError, LabelError, ProfileMismatchError, StoreError
from training.features import Sample
from vemoclap_client.contract import EMOTIONS, MODALITIES

SCHEMA_VERSION = "1.0"
MANIFEST = "manifest.json"
SPLITS = "splits.json"
CLIPS = "clips"


@dataclass(frozen=True)
class Manifest:
    """What a store holds.

    Args:
        name: of the data.
        profile: whose features these are.
        slots: encoder -> checksum of what it was exported from; empty where that is not known.
        widths: modality -> width of its features.
        emotions: those that its labels may name.
        created: ISO date and time, UTC.
        clips: id -> {label, file, sha256}; empty until the store is complete.
        splits_sha256: of splits.json; "" until the store is complete.
        schema_version: of the store's format.
    """

    name: str
    profile: str
    slots: Mapping[str, str]
    widths: Mapping[str, int]
    emotions: tuple[str, ...] = EMOTIONS
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    clips: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    splits_sha256: str = ""
    schema_version: str = SCHEMA_VERSION

    @property
    def is_complete(self) -> bool:
        """Whether every clip is in it that is to be."""
        return bool(self.clips)


class Store:
    """A store that can be read. Every sample is checked when it is."""

    def __init__(self, folder: Path) -> None:
        """Read the manifest and the splits.

        Raises:
            StoreError: there is no complete store of this version.
        """
        self.folder = folder
        self.manifest = read_manifest(folder)
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
            self.manifest = read_manifest(folder)
            _check_same(self.manifest, manifest, folder)
        else:
            files.write_text(folder / MANIFEST, _to_json(manifest))

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
            StorageError: the disk is full.
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
            seed: of the split.
            given: id -> split, where the data set comes with one.

        Raises:
            LabelError: there is one class only, or one has too few clips.
        """
        kept = read_splits(self.folder) if (self.folder / SPLITS).exists() else None
        parts = _given(labels, given) if given else splits.split(labels, seed, kept)
        listed = {part: [n for n, of in parts.items() if of == part] for part in splits.SPLITS}
        entries = {name: self._entry(name, labels[name]) for name in parts}
        drawn = {"seed": None if given else seed, **listed}
        files.write_text(self.folder / SPLITS, json.dumps(drawn, indent=1) + "\n")
        complete = {
            "clips": dict(sorted(entries.items())),
            "splits_sha256": files.checksum(self.folder / SPLITS),
        }
        document = {**asdict(self.manifest), **complete}
        files.write_text(self.folder / MANIFEST, json.dumps(document, indent=1) + "\n")
        return Store(self.folder)

    def _entry(self, name: str, label: str) -> dict[str, str]:
        path = self._path(name)
        return {"label": label, "file": path.name, "sha256": files.checksum(path)}

    def _path(self, name: str) -> Path:
        # An id may be any text, a path of any length included.
        encoded = name.encode(errors="surrogateescape")
        return self.folder / CLIPS / f"{hashlib.sha256(encoded).hexdigest()}.npz"


def read_manifest(folder: Path) -> Manifest:
    """Return what a store says of itself.

    Raises:
        StoreError: there is none, it is damaged, or was written by another version.
    """
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document["schema_version"]
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{folder} is a feature store of version {version}; this program reads version "
                f"{SCHEMA_VERSION}. Extract the features anew, into another folder."
            )
        return Manifest(**{**document, "emotions": tuple(document["emotions"])})
    except FileNotFoundError as error:
        raise StoreError(f"{folder} is no feature store: it has no {MANIFEST}") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path} cannot be read as a store's manifest: {error!r}") from error


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


def check_fits(manifest: Manifest, profile: str, widths: Mapping[str, int], head: str) -> None:
    """Return if a head takes the features of a store.

    Raises:
        ProfileMismatchError: it was made for another profile's.
        FeatureError: it was made for other widths.
    """
    if manifest.profile != profile:
        raise ProfileMismatchError(
            f"{head} takes features of profile {profile}, and these are of profile "
            f"{manifest.profile}. Extract them through a server of profile {profile}."
        )
    other = [
        f"{m} {manifest.widths[m]}, not {widths[m]}"
        for m in MODALITIES
        if manifest.widths[m] != widths[m]
    ]
    if other:
        raise FeatureError(f"{head} takes features of other widths: {'; '.join(other)}")


def _check_same(found: Manifest, wanted: Manifest, folder: Path) -> None:
    """Features of two encoders never lie in one store."""
    advice = "Choose another folder for the new features."
    if found.profile != wanted.profile:
        raise ProfileMismatchError(
            f"{folder} holds features of profile {found.profile}, and the server's are of profile "
            f"{wanted.profile}. {advice}"
        )
    changed = sorted(
        slot
        for slot in {*found.slots, *wanted.slots}
        if found.slots.get(slot) != wanted.slots.get(slot)
    )
    if changed or found.widths != wanted.widths:
        raise ProfileMismatchError(
            f"{folder} holds features of other encoders: {', '.join(changed) or 'their widths'} "
            f"changed since. {advice}"
        )


def _given(labels: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The data set's own split, of the clips that are there."""
    parts = {name: part for name, part in sorted(given.items()) if name in labels}
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


def _to_json(manifest: Manifest) -> str:
    return json.dumps(asdict(manifest), indent=1) + "\n"
