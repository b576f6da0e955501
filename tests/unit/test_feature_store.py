"""The feature store, and how a folder of labelled clips fills it."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from export.configuration import REPOSITORY
from tests.unit import synthetic
from tests.unit.synthetic import WIDTHS
from training import folder, splits
from training.errors import FeatureError, LabelError, ProfileMismatchError, StoreError
from training.features import Rows, Sample, shorten
from training.folder import encoder_checksums, extract, find_clips
from training.manifest import MANIFEST, Manifest
from training.server_features import ClipFeatures, FeatureServer
from training.store import Store, Writer
from vemoclap_client.errors import NotAVideoError, ServerLostError, VemoclapError
from vemoclap_client.media.container import check_file

LABELS = {f"{emotion}/{number}": emotion for emotion in ("fear", "joy") for number in range(20)}


class Encoder(FeatureServer):
    """Answers in the server's place: features that follow from the file's content."""

    def __init__(self, profile: str = "embedded") -> None:
        super().__init__("127.0.0.1:1", 1.0)
        self.profile = profile
        self.asked: list[str] = []
        self.lost_after = 1000

    def extract(self, video: Path) -> ClipFeatures:
        if len(self.asked) >= self.lost_after:
            raise ServerLostError("the connection broke")
        self.asked.append(video.name)
        check_file(video)
        content = video.read_text()
        if content == "text":
            raise NotAVideoError(f"{video} is in no known container")
        rows = {
            modality: np.full((1, width), float(content), np.float32)
            for modality, width in WIDTHS.items()
        }
        return ClipFeatures(self.profile, rows)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two emotions of four clips."""
    for emotion in ("joy", "fear"):
        (tmp_path / "data" / emotion).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "data" / emotion / f"{number}.mp4").write_text(str(number))
    return tmp_path / "data"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository with an encoder's stamp."""
    write_stamp(tmp_path / "repository", "embedded", "pretrained")
    return tmp_path / "repository"


def write_stamp(repository: Path, profile: str, weights: str) -> None:
    path = repository / "image_encoder" / "1" / "export.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    stamp = {"profile": profile, "weights": weights, "sources": "changes every week"}
    path.write_text(json.dumps({"stamp": stamp}))


def ignore(_: str) -> None:
    """Nothing is to be said."""


def features(**changes: Rows) -> dict[str, Rows]:
    return {m: np.zeros((1, width), np.float32) for m, width in WIDTHS.items()} | changes


def test_what_is_written_is_read(tmp_path: Path) -> None:
    source = np.random.default_rng(0)
    store = synthetic.store(tmp_path, 36)
    expected = {s.id: s for s in (synthetic.sample(n, source) for n in range(36))}
    found = [sample for part in splits.SPLITS for sample in store.samples(part)]
    assert {sample.id for sample in found} == set(expected)
    for sample in found:
        assert sample.label == expected[sample.id].label
        for modality, rows in expected[sample.id].features.items():
            np.testing.assert_array_equal(sample.features[modality], rows)


def test_the_split_is_stratified_seeded_and_kept() -> None:
    parts = splits.split(LABELS, seed=1)
    assert Counter((LABELS[name], part) for name, part in parts.items()) == {
        (emotion, part): number
        for emotion in ("fear", "joy")
        for part, number in (("train", 14), ("validation", 3), ("test", 3))
    }
    assert parts == splits.split(LABELS, seed=1)
    assert parts != splits.split(LABELS, seed=2)
    more = LABELS | {f"joy/new {number}": "joy" for number in range(20)}
    grown = splits.split(more, seed=1, earlier=parts)
    assert {name: grown[name] for name in parts} == parts, "no test clip moves into training"
    assert Counter(grown[name] for name in more if more[name] == "joy")["test"] == 6


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({}, "no labelled clip"),
        ({"a": "joy", "b": "joy", "c": "joy"}, "only joy"),
        ({"a": "joy", "b": "joy", **{str(n): "fear" for n in range(9)}}, "joy has 2"),
    ],
)
def test_labels_that_cannot_be_learned_from_are_refused(labels: dict[str, str], words: str) -> None:
    with pytest.raises(LabelError, match=words):
        splits.split(labels, seed=1)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"face": np.array([[1, np.nan, 2, 3]], np.float32)}, "clip joy/x: face.*1 values"),
        ({"face": np.full((1, 4), np.inf, np.float32)}, "clip joy/x: face.*4 values"),
        ({"image": np.zeros((1, 7), np.float32)}, r"clip joy/x: image.*\(1, 7\).*6 wide"),
        ({"text": np.zeros((2, 4), np.float32)}, "clip joy/x: 2 rows of text"),
    ],
    ids=["NaN", "infinite", "another width", "too many rows"],
)
def test_features_that_cannot_be_trained_on_are_refused(
    changed: dict[str, Rows], words: str, tmp_path: Path
) -> None:
    writer = Writer(tmp_path, Manifest("x", "embedded", {}, WIDTHS))
    with pytest.raises(FeatureError, match=words):
        writer.add(Sample("joy/x", "joy", features(**changed)), "")


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    synthetic.store(tmp_path, 36)
    document = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**document, "schema_version": "2.0"}))
    with pytest.raises(StoreError, match=r"version 2\.0; this program reads version 1\.0"):
        Store(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema_version": "1.0"}'])
def test_a_manifest_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(StoreError, match=r"manifest\.json"):
        Store(tmp_path)
    with pytest.raises(StoreError, match="no feature store"):
        Store(tmp_path / "nowhere")


def test_a_clip_that_has_changed_is_refused(tmp_path: Path) -> None:
    store = synthetic.store(tmp_path, 36)
    name = store.ids("train")[0]
    path = tmp_path / "clips" / store.manifest.clips[name]["file"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=name):
        store.sample(name)


def test_a_split_that_has_been_edited_is_refused(tmp_path: Path) -> None:
    store = synthetic.store(tmp_path, 36)
    document = json.loads((tmp_path / "splits.json").read_text())
    document["train"] += document["test"]
    (tmp_path / "splits.json").write_text(json.dumps(document))
    with pytest.raises(StoreError, match="test clip might"):
        Store(store.folder)


def test_a_folder_is_extracted_once(data: Path, repository: Path, tmp_path: Path) -> None:
    server = Encoder()
    store, found = extract(data, tmp_path / "store", server, repository, report=ignore)
    assert (found.encoded, found.kept, found.skipped) == (8, 0, {})
    assert store.manifest.name == "data"
    assert store.manifest.profile == "embedded"
    assert set(store.manifest.slots) == {"image_encoder"}
    assert store.sample("joy/3.mp4").features["face"][0, 0] == 3.0
    (data / "joy" / "2.mp4").write_text("7.5")
    again, found = extract(data, tmp_path / "store", server, repository, report=ignore)
    assert (found.encoded, found.kept) == (1, 7)
    assert again.sample("joy/2.mp4").features["face"][0, 0] == 7.5
    assert again.splits == store.splits


def test_an_interrupted_extraction_goes_on(data: Path, repository: Path, tmp_path: Path) -> None:
    server = Encoder()
    server.lost_after = 3
    with pytest.raises(ServerLostError):
        extract(data, tmp_path / "store", server, repository, in_flight=1, report=ignore)
    with pytest.raises(StoreError, match="unfinished"):
        Store(tmp_path / "store")
    server.lost_after = 1000
    _, found = extract(data, tmp_path / "store", server, repository, report=ignore)
    assert (found.encoded, found.kept) == (5, 3)


def test_clips_that_cannot_be_read_are_reported_skipped_and_counted(
    data: Path, repository: Path, tmp_path: Path
) -> None:
    (data / "joy" / "notes.txt").write_text("text")
    (data / "joy" / "subfolder").mkdir()
    (data / "joy" / ".hidden").touch()
    said: list[str] = []
    encoder = Encoder()
    store, found = extract(data, tmp_path / "store", encoder, repository, report=said.append)
    assert set(found.skipped) == {"joy/notes.txt", "joy/subfolder"}
    assert any("joy/notes.txt" in line and "no known container" in line for line in said)
    assert len(store.splits) == 8


def test_too_few_clips_that_can_be_read_are_an_error(
    data: Path, repository: Path, tmp_path: Path
) -> None:
    for number in range(2):
        (data / "joy" / f"{number}.mp4").write_text("text")
    with pytest.raises(LabelError, match=r"joy has 2.*2 clips could not be used"):
        extract(data, tmp_path / "store", Encoder(), repository, report=ignore)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: (data / "anger").mkdir(), "anger is empty"),
        (lambda data: (data / "joy").rename(data / "boredom"), "called boredom"),
        (lambda data: (data / "joy").rename(data.parent / "joy"), "only fear"),
        (lambda data: (data / "joy" / "0.mp4").rename(data / "0.mp4"), None),
    ],
    ids=["an empty class", "an unknown class", "one class only", "a file beside the folders"],
)
def test_folders_that_are_no_classes_are_refused(change: object, words: str, data: Path) -> None:
    assert callable(change)
    change(data)
    if words is None:
        assert len(find_clips(data)) == 7
        return
    with pytest.raises(LabelError, match=words):
        find_clips(data)


def test_features_of_other_encoders_never_join(
    data: Path, repository: Path, tmp_path: Path
) -> None:
    extract(data, tmp_path / "store", Encoder(), repository, report=ignore)
    (data / "joy" / "new.mp4").write_text("1")
    write_stamp(repository, "embedded", "checkpoint 1234")
    with pytest.raises(ProfileMismatchError, match="image_encoder"):
        extract(data, tmp_path / "store", Encoder(), repository, report=ignore)
    write_stamp(repository, "paper", "pretrained")
    with pytest.raises(ProfileMismatchError, match="serves profile embedded"):
        extract(data, tmp_path / "other", Encoder(), repository, report=ignore)
    with pytest.raises(ProfileMismatchError, match="profile paper"):
        Writer(tmp_path / "store", Manifest("data", "paper", {}, WIDTHS))


def test_a_repository_without_encoders_is_said(tmp_path: Path) -> None:
    with pytest.raises(VemoclapError, match="--repository"):
        encoder_checksums(tmp_path)


def test_only_what_decides_features_is_in_a_checksum(repository: Path) -> None:
    before = encoder_checksums(repository)
    path = repository / "image_encoder" / "1" / "export.json"
    path.write_text(path.read_text().replace("every week", "every day"))
    assert encoder_checksums(repository) == before
    write_stamp(repository, "embedded", "random, seed 1")
    assert encoder_checksums(repository) != before


def test_every_slot_that_counts_is_one_of_the_repositorys() -> None:
    assert {path.name for path in REPOSITORY.iterdir()} >= set(folder.ENCODERS)


def test_long_sequences_are_thinned_evenly() -> None:
    rows = np.arange(40, dtype=np.float32)[:, None]
    expected = np.round(np.linspace(0, 39, 16))
    assert shorten(rows, 16)[:, 0].tolist() == expected.tolist()
    assert shorten(rows[:5], 16)[:, 0].tolist() == [0, 1, 2, 3, 4]
