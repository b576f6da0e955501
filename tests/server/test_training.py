"""From a folder of labelled clips to a trained head that answers, through the real server."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from av.video.frame import VideoFrame

from export.configuration import REPOSITORY
from export.exporting import export_slot
from export.fusion import attention
from export.options import Checkpoint, Options
from tests.clips import Tone, cut, solid_frame, write_clip
from tests.launching import Launched, launched
from training import checkpoint, ekman6_report, trained
from training.__main__ import main
from training.folder import extract
from training.server_features import FeatureServer
from training.store import Store
from vemoclap_client.cli.main import main as vemoclap
from vemoclap_client.contract import EMOTIONS
from vemoclap_client.files import link_or_copy
from vemoclap_client.limited import DecodingLimits, LimitedDecoder

COLOURS = {"anger": (80, 90, 240), "joy": (200, 30, 150)}
"""Luma and two chromas, of 8 bits."""
CLIPS = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two emotions of four clips, each emotion of a colour; and a file that is no video."""
    folder = tmp_path_factory.mktemp("data") / "colours"
    for emotion, colour in COLOURS.items():
        (folder / emotion).mkdir(parents=True)
        for number in range(CLIPS):
            write_clip(
                folder / emotion / f"{number}.mp4",
                frames=list(_frames(colour, number)),
                fps=8,
                sound=Tone(seconds=1) if (emotion, number) == ("joy", 0) else None,
            )
    (folder / "joy" / "notes.txt").write_text("not a video\n")
    return folder


def _frames(colour: tuple[int, int, int], number: int) -> Iterator[VideoFrame]:
    for step in range(16):
        luma, *chroma = colour
        yield solid_frame((luma + step + 2 * number, *chroma), (96, 64), "yuv420p")


@pytest.fixture(scope="module")
def out(server: Launched, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training of a few steps on these leaves."""
    folder = tmp_path_factory.mktemp("out")
    command = ["train", str(data), "--out", str(folder), "--url", server.url]
    assert main([*command, "--device", "cpu", "--width", "32", "--steps", "40"]) == 0
    return folder


def test_the_features_are_the_servers(out: Path, data: Path) -> None:
    store = Store(out / "features")
    assert store.manifest.profile == "embedded"
    assert store.manifest.widths == {
        "image": 1280,
        "audio": 256,
        "face": 256,
        "speech": 384,
        "text": 384,
    }
    assert len(store.splits) == CLIPS * len(COLOURS), "the text file is not among them"
    assert {"image_encoder", "text_encoder"} <= store.manifest.slots.keys()
    sample = store.sample("joy/1.mp4")
    assert sample.features["image"].shape == (16, 1280)
    assert sample.features["audio"].shape == (0, 256), "it has no sound"


def test_the_trained_head_is_served_and_named(
    out: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = tmp_path / "model_repository"
    shutil.copytree(
        REPOSITORY, repository, copy_function=lambda *ends: link_or_copy(*map(Path, ends))
    )
    options = Options("embedded", weights=Checkpoint(out / trained.WEIGHTS))
    slot = attention.choose(options)
    assert slot is not None
    export_slot(slot, repository, options=options)
    result = tmp_path / "result.json"
    video = data / "joy" / "0.mp4"
    with launched(tmp_path, ["--model-repository", repository]) as running:
        capsys.readouterr()
        command = ["classify", str(video), "--attention", "--json", str(result)]
        assert vemoclap([*command, "--url", running.url]) == 0
    manifest = Store(out / "features").sha256[:12]
    trained_on = f"colours (manifest {manifest}, {checkpoint.today()})"
    printed = capsys.readouterr().out
    assert f"attention (trained on {trained_on})" in printed
    assert "Where the head looked most" in printed
    document = json.loads(result.read_text())
    # No face, and a second of sound is too short for a window.
    assert list(document["attention"]) == ["image"]
    moments = document["attention"]["image"]
    assert [moment["start_s"] for moment in moments] == document["frame_times_s"]
    assert sum(moment["weight"] for moment in moments) == pytest.approx(1, abs=1e-4)
    assert document["head"] == {"kind": "attention", "trained_on": trained_on}
    assert document["profile"] == "embedded"
    learned = {emotion: document["probabilities"][emotion] for emotion in COLOURS}
    others = max(document["probabilities"][e] for e in EMOTIONS if e not in COLOURS)
    assert learned["joy"] > learned["anger"]
    assert learned["joy"] > others


def test_clips_that_need_too_much_or_are_damaged_are_skipped(
    server: Launched, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    size, pixels = (7680, 4320), "yuvj444p"  # 100 MB in memory, 0.4 MB in the file.
    large = solid_frame((120, 128, 128), size, pixels)
    write_clip(
        folder / "joy" / "large.avi", frames=[large], size=size, codec="mjpeg", pixel_format=pixels
    )
    cut(folder / "joy" / "0.mp4", folder / "joy" / "cut.mp4", 0.5)
    with LimitedDecoder(DecodingLimits(memory_bytes=100_000_000)) as decoder:
        asked = FeatureServer(server.url, 60, decoder)
        store, found = extract(folder, tmp_path / "store", asked, REPOSITORY)
    assert found.encoded == len(store.splits) == CLIPS * len(COLOURS)
    words = {
        "joy/cut.mp4": "no usable index",
        "joy/large.avi": "more memory to decode than there is",
        "joy/notes.txt": "not a video file",
    }
    assert found.skipped.keys() == words.keys()
    for name, reason in words.items():
        assert reason in found.skipped[name]


def test_clips_are_decoded_with_limits() -> None:
    assert FeatureServer("127.0.0.1:1", 1).decoder.limits == DecodingLimits()


def test_the_videos_of_ekman_6_are_taken_as_they_are(
    server: Launched, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An archive of videos, a split and a blacklist, which names clips without folder or suffix."""
    folder, out = tmp_path / "ekman6", tmp_path / "out"
    folder.mkdir()
    shutil.make_archive(str(folder / "videos"), "zip", data.parent, data.name)
    parts = {"trn": "0", "val": "1", "tst": "23"}
    named = {part: [f"{e}/{n}" for e in COLOURS for n in ns] for part, ns in parts.items()}
    (folder / "splits.json").write_text(json.dumps(named))
    (folder / "ekman6_blacklist.txt").write_text("anger/3.mp4\n")
    command = ["ekman6", str(folder), "--out", str(out), "--url", server.url]
    assert main([*command, "--device", "cpu", "--width", "32", "--steps", "10"]) == 0
    store = Store(out / "features")
    assert store.ids("train") == ["anger/0.mp4", "joy/0.mp4"]
    assert store.ids("test") == ["anger/2.mp4", "joy/2.mp4", "joy/3.mp4"]
    said = capsys.readouterr().out
    assert "7 clips extracted, 0 already there, 2 skipped" in said
    assert "Ekman-6, 3 test clips: accuracy of THIS RUN, not the paper's" in said
    assert "features of this server's encoders (embedded profile)" in said
    assert (out / ekman6_report.PICTURE).exists()


def test_a_second_run_extracts_nothing_again(
    out: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (out / "head.json").read_bytes()
    command = ["train", str(data), "--out", str(out), "--url", "127.0.0.1:1"]
    assert main([*command, "--device", "cpu", "--width", "32", "--steps", "40"]) == 0
    said = capsys.readouterr().out
    assert "skipped joy/notes.txt" in said
    assert "0 clips extracted, 8 already there, 1 skipped" in said
    assert (out / "head.json").read_bytes() == before
