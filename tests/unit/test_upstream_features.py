"""features.pkl in the exact structure of the authors', and pickles that would run code."""

import io
import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from export.fusion import attention
from tests.unit.upstream_files import IDX_TO_LABEL, NAMES, document, write
from training.errors import LabelError, StoreError, UnsafeFileError
from training.lists import Lists
from training.restricted_pickle import read
from training.upstream import Import, store_features


def load(
    path: Path, folder: Path, splits: Path | None = None, blacklist: Path | None = None
) -> Import:
    return store_features(path, folder, 1, Lists(splits, blacklist))


@pytest.mark.parametrize("kind", ["protocol 2", "protocol 4", "protocol 5", "torch.save", "numpy"])
def test_every_sample_is_read(kind: str, tmp_path: Path) -> None:
    content = document()
    expected = content["samples"]
    path = tmp_path / "features.pkl"
    if kind == "torch.save":
        torch.save(content, path)
    elif kind == "numpy":
        as_arrays = {
            name: {
                "labels": sample["labels"].numpy(),
                "features": {key: value.numpy() for key, value in sample["features"].items()},
            }
            for name, sample in expected.items()
        }
        stats = {name: {"min": np.float32(0), "max": np.float64(1)} for name in NAMES}
        write(path, {"samples": as_arrays, "stats": stats, "idx_to_label": IDX_TO_LABEL})
    else:
        write(path, content, int(kind[-1]))
    store = load(path, tmp_path / "store").store
    assert store.manifest.profile == "paper"
    assert store.manifest.widths == attention.WIDTHS
    samples = {s.id: s for part in ("train", "validation", "test") for s in store.samples(part)}
    assert set(samples) == set(expected)
    for name, sample in samples.items():
        assert sample.label == name.split("_")[0]
        for upstream, (modality, width) in NAMES.items():
            rows = expected[name]["features"].get(upstream, torch.zeros(0, width)).numpy()
            if len(rows) > 16:
                rows = rows[np.round(np.linspace(0, len(rows) - 1, 16)).astype(int)]
            np.testing.assert_array_equal(sample.features[modality], rows)


def test_the_authors_splits_and_blacklist_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "features.pkl", document())
    parts = {
        "train": ["joy_0", "joy_1", "fear_0", "fear_1"],
        "val": ["joy_2"],
        "test": ["fear_2", "joy_3"],
    }
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps(parts))
    blacklist = tmp_path / "ekman6_blacklist.txt"
    blacklist.write_text("fear_1\n\njoy_3\n")
    imported = load(path, tmp_path / "store", splits, blacklist)
    store = imported.store
    assert store.ids("train") == ["fear_0", "joy_0", "joy_1"]
    assert store.ids("validation") == ["joy_2"]
    assert store.ids("test") == ["fear_2"]
    blacklisted = dict.fromkeys(("fear_1", "joy_3"), "on the blacklist")
    assert imported.skipped == {**blacklisted, "fear_3": "not in splits.json"}


def test_a_sample_with_two_labels_is_reported(tmp_path: Path) -> None:
    content = document()
    content["samples"]["joy_0"]["labels"][3] = 1
    imported = load(write(tmp_path / "features.pkl", content), tmp_path / "store")
    assert imported.skipped == {"joy_0": "it has 2 labels: joy, fear"}
    assert "joy_0" not in imported.store.splits


class _RunsCode:
    """A pickle of it runs a command on loading."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


class _HiddenInStorage:
    """Hides the command in what a tensor's storage is loaded from."""

    zipped = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        inner = io.BytesIO()
        torch.save(_RunsCode(self.path), inner, _use_new_zipfile_serialization=self.zipped)
        return torch.storage._load_from_bytes, (inner.getvalue(),)


class _LegacyHiddenInStorage(_HiddenInStorage):
    """The same, in torch's older format."""

    zipped = False


class _Evaluates:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return eval, (f"__import__('pathlib').Path({str(self.path)!r}).touch()",)


@pytest.mark.parametrize("kind", [_RunsCode, _HiddenInStorage, _LegacyHiddenInStorage, _Evaluates])
@pytest.mark.parametrize("with_torch", [False, True])
def test_a_pickle_that_would_run_code_is_refused(
    kind: type, with_torch: bool, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    content = {**document(), "extra": kind(victim)}
    path = tmp_path / "features.pkl"
    if with_torch:
        torch.save(content, path)
    else:
        write(path, content)
    with pytest.raises(UnsafeFileError, match=r"features\.pkl"):
        load(path, tmp_path / "store")
    assert not victim.exists()
    assert not (tmp_path / "store").exists()
    pickled = io.BytesIO(pickle.dumps(kind(victim)))
    pickle.load(pickled)
    assert victim.exists(), "an unrestricted reader would have run it"


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "features.pkl", np.array([_RunsCode(tmp_path / "x")], object))
    with pytest.raises((UnsafeFileError, StoreError)):
        read(path)
    assert not (tmp_path / "x").exists()


def test_plain_containers_are_read(tmp_path: Path) -> None:
    content = OrderedDict(a=[1, 2.5, None, True], b=(b"x", "y"), c={1, 2}, d=np.float32(3))
    assert read(write(tmp_path / "x.pkl", content)) == content


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ([1, 2], StoreError, "no features.pkl"),
        ({"samples": {}}, StoreError, "no features.pkl"),
        ({**document(), "samples": {}}, LabelError, "no labelled clip"),
        ({**document(), "idx_to_label": {0: "boredom"}}, LabelError, "boredom"),
    ],
    ids=["a list", "no labels", "no samples", "another label"],
)
def test_a_pickle_of_something_else_is_refused(
    content: Any, error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        load(write(tmp_path / "features.pkl", content), tmp_path / "store")


def test_a_damaged_pickle_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "features.pkl", document())
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StoreError, match=r"features\.pkl cannot be read"):
        load(path, tmp_path / "store")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read as splits"),
        ('{"holdout": ["joy_0"]}', "cannot be read as splits"),
        ('{"train": ["joy_0"], "test": ["joy_0"]}', "twice"),
    ],
)
def test_splits_that_are_none_are_refused(text: str, words: str, tmp_path: Path) -> None:
    path = write(tmp_path / "features.pkl", document())
    splits = tmp_path / "splits.json"
    splits.write_text(text)
    with pytest.raises(StoreError, match=words):
        load(path, tmp_path / "store", splits)
