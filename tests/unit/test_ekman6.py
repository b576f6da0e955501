"""Ekman-6 in one command, on files of the structure that its authors publish."""

import json
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from PIL import Image

from tests.launching import PROJECT
from tests.unit import ekman6_files, upstream_files
from training import confusion_picture, ekman6, ekman6_report, report
from training.__main__ import main
from training.errors import DataSetError, StoreError
from training.store import Store
from vemoclap_client.contract import EMOTIONS, MODALITIES

QUICK = ("--device", "cpu", "--width", "8", "--steps", "3")
LEARNS = ("--device", "cpu", "--width", "32", "--steps", "100")
RECORDS = ("https://zenodo.org/records/13624583", "https://zenodo.org/records/17159328")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return ekman6_files.make(tmp_path / "ekman6")


def run(folder: Path, out: Path, *options: str) -> int:
    return main(["ekman6", str(folder), "--out", str(out), *options])


def test_without_the_files_make_says_which_are_needed(tmp_path: Path) -> None:
    # The tests may be run by a make themselves.
    command = ["make", "--no-print-directory", "--old-file=.venv/.ready", "train", "DATA=ekman6"]
    done = subprocess.run(
        [*command, f"EKMAN6={tmp_path}", f"BIN={Path(sys.executable).parent}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, "make's own code of a failed recipe"
    assert f"Error {DataSetError.exit_code}" in done.stderr
    for named in (*RECORDS, "ekman6_blacklist.txt", "split", str(tmp_path), "there is: nothing"):
        assert named in done.stderr
    assert done.stdout == ""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What a run leaves in its folder, and what it prints."""
    folder = ekman6_files.make(tmp_path_factory.mktemp("data") / "ekman6")
    out = tmp_path_factory.mktemp("out")
    with redirect_stdout(StringIO()) as printed:
        assert run(folder, out, *LEARNS) == 0
    return out, printed.getvalue()


def test_the_authors_split_is_used_without_the_mislabelled(ran: tuple[Path, str]) -> None:
    store = Store(ran[0] / "features")
    assert store.manifest.profile == "paper"
    assert store.manifest.name == "Ekman-6"
    for part, authors in (("train", "trn"), ("validation", "val"), ("test", "tst")):
        listed = {f"{e}_{n}" for e in EMOTIONS for n in ekman6_files.SPLIT[authors]}
        assert set(store.ids(part)) == listed - set(ekman6_files.MISLABELLED)


def test_the_table_is_of_the_test_clips_and_of_this_run(ran: tuple[Path, str]) -> None:
    out, printed = ran
    document = json.loads((out / report.FILE).read_text())
    assert document["data"]["split"] == "test"
    assert document["data"]["clips"] == 11, "two of each emotion, less the one mislabelled"
    table = printed.split("THIS RUN, not the paper's")[1]
    rows = dict(re.findall(r"^  (\S.*?\S)  +([\d.]+)%", table, re.MULTILINE))
    others = [f"{name} alone" for name in MODALITIES] + [f"without {name}" for name in MODALITIES]
    assert set(rows) == {"all modalities", *others}
    assert rows["all modalities"] == f"{document['accuracy']['value']:.1%}"[:-1]
    # The emotion is in the pictures alone.
    assert float(rows["all modalities"]) > 90
    assert float(rows["image alone"]) > 60
    assert float(rows["without image"]) < 50
    assert float(rows["audio alone"]) < 50


def test_nothing_printed_poses_as_the_papers(ran: tuple[Path, str]) -> None:
    table = ran[1].split("THIS RUN, not the paper's")[1]
    assert "differs from the paper: recipe fast (steps 100, heads 4, width 32)" in table
    assert ekman6_report.PAPER in table
    assert re.findall(r"the paper: ", table) == ["the paper: "], "no other difference"


def test_figure_2_is_of_this_run_and_says_so(
    ran: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, printed = ran
    assert str(out / ekman6_report.PICTURE) in printed
    image = Image.open(out / ekman6_report.PICTURE)
    plain = Image.open(out / "confusion.png")
    assert image.height > plain.height, "the caption is below it"
    assert image.crop((0, 0, *plain.size)).tobytes() == plain.tobytes()
    left, top = confusion_picture.LEFT_PX + 5, confusion_picture.TOP_PX + 5
    assert image.getpixel((left, top)) == confusion_picture.DARK
    captions: list[str] = []
    monkeypatch.setattr(confusion_picture, "write", lambda *given: captions.append(given[2]))
    ekman6_report.write(out, ["one"])
    assert captions[0].startswith("This run's, not the paper's Figure 2: 11 test clips, accuracy")


def test_a_run_is_gone_on_with(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, tmp_path / "out", *QUICK) == 0
    assert run(folder, tmp_path / "out", *QUICK) == 0
    assert "going on after step 3" in capsys.readouterr().out


def test_archives_are_unpacked_once_and_the_other_data_set_is_left(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    for name in ("ekman6", "videoemotion8"):
        (tmp_path / "content" / name).mkdir(parents=True)
        shutil.copy(folder / "features.pkl", tmp_path / "content" / name)
    shutil.make_archive(str(packed / "features"), "zip", tmp_path / "content")
    for name in ("splits.json", "ekman6_blacklist.txt"):
        shutil.copy(folder / name, packed)
    assert run(packed, tmp_path / "out", "--form") == 0
    said = capsys.readouterr()
    assert said.out == "features\n"
    assert "unpacking" in said.err
    assert run(packed, tmp_path / "out", "--form") == 0
    assert capsys.readouterr().err == ""
    found = ekman6.find(packed)
    assert found.only(ekman6.FEATURES) == packed / "unpacked/features.zip/ekman6/features.pkl"


def test_videos_are_found_wherever_the_archive_has_them(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for emotion in EMOTIONS:
        (tmp_path / "content" / "data" / emotion.title()).mkdir(parents=True)
        (tmp_path / "content" / "__MACOSX" / "data" / emotion.title()).mkdir(parents=True)
    shutil.make_archive(str(folder / "videos"), "gztar", tmp_path / "content")
    assert ekman6.find(folder).only(ekman6.VIDEOS) == folder / "unpacked/videos.tar.gz/data"
    assert run(folder, tmp_path / "out", "--form") == 0
    assert run(folder, tmp_path / "out", "--form", "--use", "videos") == 0
    assert capsys.readouterr().out.split()[-2:] == ["features", "videos"]


@pytest.mark.parametrize(
    ("name", "flag", "difference"),
    [
        ("splits.json", "--own-split", "the split was drawn here (seed 1)"),
        ("ekman6_blacklist.txt", "--no-blacklist", "no blacklist"),
    ],
)
def test_without_a_list_it_goes_on_only_if_told_to_and_says_so(
    name: str,
    flag: str,
    difference: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / name).unlink()
    assert run(folder, tmp_path / "out", *QUICK) == DataSetError.exit_code
    said = capsys.readouterr().err
    assert flag in said
    assert "features.pkl" in said, "what is there"
    assert not (tmp_path / "out").exists()
    assert run(folder, tmp_path / "out", *QUICK, flag) == 0
    assert f"differs from the paper: {difference}" in capsys.readouterr().out


def test_a_list_that_is_named_is_used_whatever_else_is_there(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "other_splits.json").write_text("{}")
    assert run(folder, tmp_path / "out", "--form") == DataSetError.exit_code
    assert "the split may be any of" in capsys.readouterr().err
    named = str(folder / "splits.json")
    assert run(folder, tmp_path / "out", "--form", "--splits", named) == 0


def test_validation_comes_out_of_training_where_the_split_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ekman6_files.make(tmp_path / "ekman6", with_validation=False)
    assert run(folder, tmp_path / "out", *QUICK) == 0
    assert "splits.json has no clips for validation" in capsys.readouterr().out
    store = Store(tmp_path / "out" / "features")
    numbers = {part: {name[-1] for name in store.ids(part)} for part in ("train", "test")}
    assert numbers == {"train": set("0123"), "test": set("67")}
    assert {name[-1] for name in store.ids("validation")} <= set("0123")
    assert len(store.ids("validation")) == len(EMOTIONS)


def test_files_that_are_not_what_they_should_be_are_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def code_and_words(code: int, *words: str) -> None:
        assert run(folder, tmp_path / "out", *QUICK) == code
        said = capsys.readouterr().err
        assert all(word in said for word in words), said

    (folder / "more.pkl").touch()
    code_and_words(DataSetError.exit_code, "the features may be any of", "more.pkl")
    (folder / "more.pkl").unlink()
    (folder / "videos.zip").write_bytes(b"PK half a download")
    code_and_words(DataSetError.exit_code, "videos.zip cannot be unpacked")
    (folder / "videos.zip").unlink()
    upstream_files.write(folder / "features.pkl", {"X": [], "y": []})
    code_and_words(StoreError.exit_code, "must be a dict of samples", "it is a dict of X, y")
    content = upstream_files.document()
    content["samples"]["joy_0"] = {"clip": None}
    upstream_files.write(folder / "features.pkl", content)
    code_and_words(StoreError.exit_code, "its sample joy_0 is a dict of clip")
    (folder / "features.pkl").unlink()
    code_and_words(DataSetError.exit_code, "no features and no videos", *RECORDS)
