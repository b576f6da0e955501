"""What an export leaves behind when something goes wrong in its midst, and what it says."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NoReturn

import onnxruntime
import pytest
import torch

from export import cli, exporting, samples
from export.cli import main
from export.errors import StorageError
from export.exporting import export_slot, unchanged
from export.options import Format, Options
from export.registry import PROFILES
from export.spec import Builder, Files, Slot
from export.weights import fetching
from export.weights.manifest import Artifact
from tests.launching import wait_until
from tests.unit.toy_slot import NETWORK, TOY, load


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the toy in it."""
    folder = tmp_path_factory.mktemp("exported")
    export_slot(TOY, folder)
    return folder


@pytest.fixture
def earlier(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], dict[str, bytes]]:
    """Put an earlier export into `out`; return what looks at what that holds."""
    for profile in ("embedded", "paper"):
        monkeypatch.setitem(PROFILES, profile, {"audio_encoder": TOY})
    shutil.copytree(exported, tmp_path / "out")
    return lambda: contents(tmp_path / "out")


def contents(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def full(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_half(_: Files, folder: Path) -> None:
    (folder / "1" / "half.bin").write_bytes(b"the first ha")
    full()


def cannot_write_labels(monkeypatch: pytest.MonkeyPatch) -> Slot:
    write = Path.write_text

    def write_text(path: Path, text: str, **options: str) -> int:
        return full() if path.name == "labels.txt" else write(path, text, **options)

    monkeypatch.setattr(Path, "write_text", write_text)
    return TOY


def cannot_describe(monkeypatch: pytest.MonkeyPatch) -> Slot:
    monkeypatch.setattr(exporting.stamp, "describe", full)
    return TOY


FULL_DISKS: dict[str, Callable[[pytest.MonkeyPatch], Slot]] = {
    "the network": lambda _: replace(TOY, network=replace(NETWORK, finish=full)),
    "a conversion": lambda _: replace(
        TOY, pretrained=Builder(network=load, write=write_half, artifacts=("sample_bunny",))
    ),
    "a text": cannot_write_labels,
    "the stamp": cannot_describe,
}


@pytest.mark.parametrize("what", FULL_DISKS)
def test_a_disk_that_fills_up_leaves_the_earlier_model(
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    earlier: Callable[[], dict[str, bytes]],
) -> None:
    before = earlier()
    monkeypatch.setattr(exporting, "fetch_all", lambda names: dict.fromkeys(names, Path("any")))
    with pytest.raises(StorageError, match=r"audio_encoder: .*disk is full.*run again") as caught:
        export_slot(FULL_DISKS[what](monkeypatch), tmp_path / "out", force=True)
    assert str(tmp_path / "out" / "audio_encoder") in str(caught.value)
    assert earlier() == before
    assert unchanged(TOY, tmp_path / "out")


def test_what_is_written_by_hand_is_copied_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: Callable[[], dict[str, bytes]]
) -> None:
    def cut(_: IO[bytes], target: IO[bytes]) -> None:
        target.write(b"the first ha")
        full()

    (tmp_path / "out" / "audio_encoder" / "config.pbtxt").write_text("stale")
    before = earlier()
    monkeypatch.setattr(shutil, "copyfileobj", cut)
    with pytest.raises(StorageError):
        export_slot(TOY, tmp_path / "out", force=True)
    config = "audio_encoder/config.pbtxt"
    assert earlier()[config] == before[config]


def test_a_first_export_onto_a_full_disk_leaves_no_model(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        export_slot(replace(TOY, network=replace(NETWORK, finish=full)), tmp_path)
    assert contents(tmp_path) == {}


def test_torchscript_that_cannot_be_written_leaves_the_earlier_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: Callable[[], dict[str, bytes]]
) -> None:
    """Given a path, torch ends the whole process when the disk is full: it needs an open file."""
    before, open_file = earlier(), Path.open

    def open_on_full_disk(path: Path, *mode: Any, **options: Any) -> IO[Any]:
        return open_file(Path("/dev/full") if path.suffix == ".pt" else path, *mode, **options)

    monkeypatch.setattr(Path, "open", open_on_full_disk)
    with pytest.raises(StorageError, match=r"audio_encoder: .*disk is full"):
        export_slot(TOY, tmp_path / "out", options=Options(format=Format.TORCHSCRIPT))
    assert earlier() == before


def test_a_full_disk_is_one_line_and_an_exit_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    earlier: Callable[[], dict[str, bytes]],
) -> None:
    cannot_describe(monkeypatch)
    assert main(["audio_encoder", "--force", "--out", str(tmp_path / "out")]) == 48
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith("error: audio_encoder: cannot write into ")
    assert not any("Traceback" in line for line in told)


def test_a_killed_export_keeps_the_earlier_model_and_leaves_nothing_to_the_next(
    tmp_path: Path, earlier: Callable[[], dict[str, bytes]]
) -> None:
    before, marker, repository = earlier(), tmp_path / "marker", tmp_path / "out"
    end_at(marker, repository, signal.SIGKILL)
    version = repository / "audio_encoder" / "1"
    (left,) = version.glob(".export-*")
    inside = {f"audio_encoder/1/{left.name}/{name}" for name in contents(left)}
    assert inside
    now = earlier()
    assert {name: now[name] for name in now if name not in inside} == before
    onnxruntime.InferenceSession(version / "model.onnx")
    assert main(["audio_encoder", "--out", str(repository)]) == 0
    assert earlier() == before


def test_an_export_that_is_told_to_end_leaves_nothing(
    tmp_path: Path, earlier: Callable[[], dict[str, bytes]]
) -> None:
    before = earlier()
    assert end_at(tmp_path / "marker", tmp_path / "out", signal.SIGTERM) == 128 + signal.SIGTERM
    assert earlier() == before


def end_at(marker: Path, repository: Path, by: signal.Signals) -> int:
    """Start an export in a process of its own, and end it when it has written the graph."""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.unit.toy_slot", str(repository), str(marker)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": f"{root}:{root / 'client'}"},
    ) as process:
        wait_until(lambda: process.poll() is not None or marker.exists())
        assert process.poll() is None
        process.send_signal(by)
        return process.wait()


def spoilt(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    others = {name: value for name, value in state.items() if name != "layer.weight"}
    return others | {"other.weight": state["layer.weight"], "layer.bias": state["layer.bias"][:3]}


def test_a_checkpoint_that_does_not_fit_names_the_keys(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    earlier: Callable[[], dict[str, bytes]],
) -> None:
    before, path = earlier(), tmp_path / "other.pt"
    torch.save(spoilt(load({}).state_dict()), path)
    command = ["audio_encoder", "--checkpoint", str(path), "--out", str(tmp_path / "out")]
    assert main(command) == 47
    told = capsys.readouterr().err
    assert f"error: {path} does not fit Toy" in told
    assert "1 keys missing: layer.weight" in told
    assert "1 keys unexpected: other.weight" in told
    assert "layer.bias (3,) instead of (4,)" in told
    assert earlier() == before


@pytest.mark.parametrize("content", [None, b"", b"no checkpoint at all"])
def test_what_is_no_checkpoint_is_one_line_and_an_exit_code(
    content: bytes | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    earlier: Callable[[], dict[str, bytes]],
) -> None:
    before, path = earlier(), tmp_path / "other.pt"
    if content is not None:
        path.write_bytes(content)
    command = ["audio_encoder", "--checkpoint", str(path), "--out", str(tmp_path / "out")]
    assert main(command) == 47
    assert str(path) in capsys.readouterr().err
    assert earlier() == before


@pytest.mark.parametrize(
    "wrong",
    [
        ["--seed", "-1"],
        ["--seed", str(2**63)],
        ["--weights", "random", "--checkpoint", __file__],
    ],
)
def test_arguments_that_make_no_sense_are_refused(wrong: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["audio_encoder", "--out", str(tmp_path), *wrong])
    assert ended.value.code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_cannot_be_read_is_one_line_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["fusion", "--checkpoint", "/proc/self/mem", "--out", str(tmp_path)]
    assert main(command) == 47
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("error: the checkpoint cannot be read: ")


def test_an_interrupted_command_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "export_slot", interrupted)
    assert main(["fusion", "--out", str(tmp_path)]) == 130
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("interrupted: ")


def test_an_artifact_that_cannot_be_had_leaves_the_earlier_model(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    earlier: Callable[[], dict[str, bytes]],
) -> None:
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session  # type: ignore[attr-defined]

    before = earlier()
    wanted = Artifact("toy", "audio_encoder", "hub", ("owner/name@" + "a" * 40,), ("toy",), "MIT")
    monkeypatch.setenv("VEMOCLAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(fetching, "artifact", lambda _: wanted)
    monkeypatch.setattr(exporting.stamp, "stamp_of", lambda *_: {})
    monkeypatch.setitem(
        PROFILES,
        "embedded",
        {"audio_encoder": replace(TOY, pretrained=Builder(network=load, artifacts=("toy",)))},
    )
    close_session()
    assert main(["audio_encoder", "--force", "--out", str(tmp_path / "out")]) == 43
    close_session()
    assert "error: cannot get artifact 'toy':\n- $HF_HUB_OFFLINE is set" in capsys.readouterr().err
    assert earlier() == before


def test_samples_into_what_is_no_folder_are_one_line_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["samples", "--out", str(tmp_path / "file" / "clips")]) == 3
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"error: cannot write clips into {tmp_path / 'file' / 'clips'} (")


def test_a_clip_that_cannot_be_finished_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = samples.Sample((), lambda _, path: path.write_bytes(b"clip"), "export.samples")
    broken = replace(sample, make=make_half_clip, module="export.samples.writing")
    monkeypatch.setattr(samples, "SAMPLES", {"card": sample})
    assert main(["samples", "--out", str(tmp_path)]) == 0
    before = contents(tmp_path)
    monkeypatch.setattr(samples, "SAMPLES", {"card": broken})
    assert main(["samples", "--out", str(tmp_path)]) == 3
    assert "No space left" in capsys.readouterr().err
    assert contents(tmp_path) == before


def make_half_clip(_: Files, path: Path) -> None:
    path.write_bytes(b"the first ha")
    full()


def test_samples_into_a_cache_that_cannot_be_written_name_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VEMOCLAP_CACHE", str(tmp_path / "file"))
    assert main(["samples"]) == 42
    assert "$VEMOCLAP_CACHE" in capsys.readouterr().err
