"""The manifest of a feature store: what its features were made from, and which clips it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from export import files
from training.errors import FeatureError, ProfileMismatchError, StoreError
from vemoclap_client.contract import EMOTIONS, MODALITIES

SCHEMA_VERSION = "1.0"
MANIFEST = "manifest.json"


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


def read(folder: Path) -> Manifest:
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


def write(folder: Path, manifest: Manifest) -> None:
    """Write a store's manifest.json.

    Raises:
        StorageError: the disk is full.
    """
    files.write_text(folder / MANIFEST, json.dumps(asdict(manifest), indent=1) + "\n")


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


def check_same(found: Manifest, wanted: Manifest, folder: Path) -> None:
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
