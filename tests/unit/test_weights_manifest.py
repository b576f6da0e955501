import re

import pytest

from export.errors import UnknownNameError
from export.registry import PROFILES
from export.samples import SAMPLES
from export.weights import artifacts, fetch

ONLY_FOR_TESTS = {"voice_activity_reference"}
NAMES = list(artifacts())


@pytest.mark.parametrize("name", NAMES)
def test_an_artifact_is_pinned_and_licensed(name: str) -> None:
    artifact = artifacts()[name]
    assert re.fullmatch("[0-9a-f]{64}", artifact.sha256)
    assert artifact.size_bytes > 0
    assert artifact.licence
    assert len(artifact.packages) == len(artifact.members) > 0
    pinned = {"pypi": r"[\w.-]+==\d[\w.]*", "npm": r"(@[\w-]+/)?[\w-]+@\d[\w.]*"}
    assert all(re.fullmatch(pinned[artifact.registry], package) for package in artifact.packages)
    assert artifact.second_source is None or artifact.second_source.startswith("https://")


def test_every_artifact_is_used_and_every_used_one_is_listed() -> None:
    used = set(ONLY_FOR_TESTS)
    for slots in PROFILES.values():
        for slot in slots.values():
            used |= {*slot.artifacts, *slot.files.values()}
    for sample in SAMPLES.values():
        used |= set(sample.artifacts)
    assert used == set(artifacts())


def test_an_artifact_names_a_slot_that_exists() -> None:
    slots = {name for profile in PROFILES.values() for name in profile}
    assert {artifact.slot for artifact in artifacts().values()} <= slots | {"samples"}


def test_an_unknown_artifact_is_named_beside_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match=r"no artifact 'nonsense'.*whisper_weights"):
        fetch("nonsense")
