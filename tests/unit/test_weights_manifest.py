import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from export.errors import UnknownNameError
from export.fusion import authors
from export.registry import PROFILES
from export.samples import SAMPLES
from export.slots import paper
from export.slots.paper import speech_recognizer
from export.spec import Slot
from export.weights import Artifact, artifacts, fetch
from export.weights.cache import cached_path

NOT_PINNED = {"caption_weights"}
"""Nobody's public record says which bytes they are."""
ONLY_FOR_TESTS = {"voice_activity_reference"}
NAMES = list(artifacts())


@pytest.mark.parametrize("name", NAMES)
def test_an_artifact_is_pinned_and_licensed(name: str) -> None:
    artifact = artifacts()[name]
    assert artifact.is_pinned != (name in NOT_PINNED)
    assert (
        re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", artifact.checksum) or artifact.registry == "hub"
    )
    assert artifact.size_bytes > 0 or artifact.registry in ("hub", "github")
    assert artifact.licence
    assert len(artifact.packages) == len(artifact.members) > 0
    pinned = {
        "pypi": r"[\w.-]+==\d[\w.]*",
        "npm": r"(@[\w-]+/)?[\w-]+@\d[\w.]*",
        "hub": r"[\w-]+/[\w.-]+@([0-9a-f]{40}|main)",
        "github": r"[\w-]+/[\w.-]+@[0-9a-f]{40}",
    }
    assert all(re.fullmatch(pinned[artifact.registry], package) for package in artifact.packages)
    assert artifact.second_source is None or artifact.second_source.startswith("https://")


def test_a_repository_of_the_hub_has_one_revision() -> None:
    packages = {item.packages[0] for item in artifacts().values() if item.registry == "hub"}
    assert len({package.split("@")[0] for package in packages}) == len(packages)


def test_only_the_same_file_shares_a_place_in_the_cache() -> None:
    owners: dict[Path, Artifact] = {}
    for artifact in artifacts().values():
        other = owners.setdefault(cached_path(artifact), artifact)
        assert other == artifact or (other.sha256 and other.sha256 == artifact.sha256)


def test_what_may_not_be_used_commercially_says_so() -> None:
    restricted = [item for item in artifacts().values() if "-NC-" in item.licence]
    assert {item.slot for item in restricted} == {"translator"}
    assert all("not for commercial use" in item.licence for item in restricted)


def test_every_artifact_is_used_and_every_used_one_is_listed() -> None:
    used = {*ONLY_FOR_TESTS, *authors.ARTIFACTS}
    for slot in (*declared_slots(), *(slot for one in PROFILES.values() for slot in one.values())):
        used |= set(slot.pretrained.fetched) if slot.pretrained else set()
    for files in speech_recognizer.SIZES.values():
        used |= set(files.values())
    for sample in SAMPLES.values():
        used |= set(sample.artifacts)
    assert used <= set(artifacts())
    unused = [artifacts()[name] for name in set(artifacts()) - used]
    assert {artifact.slot for artifact in unused} <= {"text_encoder"}


def declared_slots() -> list[Slot]:
    """Return those that the modules of the `paper` profile declare."""
    names = [info.name for info in pkgutil.iter_modules(paper.__path__, f"{paper.__name__}.")]
    values = [value for name in names for value in vars(importlib.import_module(name)).values()]
    return [value for value in values if isinstance(value, Slot)]


def test_an_artifact_names_a_slot_that_exists() -> None:
    slots = {name for profile in PROFILES.values() for name in profile}
    named = {artifact.slot for artifact in artifacts().values()}
    assert named <= slots | {"samples"}


def test_an_unknown_artifact_is_named_beside_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match=r"no artifact 'nonsense'.*whisper_weights"):
        fetch("nonsense")
