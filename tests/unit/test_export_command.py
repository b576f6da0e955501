import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from export import cli, stamp
from export.building import supported
from export.cli import main
from export.errors import FetchError
from export.exporting import Report
from export.options import Checkpoint, Format, Options, Precision, Pretrained, Random
from export.registry import PROFILES, needed, select
from export.spec import Slot
from export.weights import artifacts

NETWORKS = [
    (profile, name)
    for profile, slots in PROFILES.items()
    for name, slot in slots.items()
    if slot.network
]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["face_expression", "nose_detector"], r"fills no slot nose_detector.*face_detector"),
        (["--profile", "pocket"], "no profile 'pocket'; there are: embedded"),
    ],
)
def test_an_unknown_name_is_told_with_those_that_exist(
    command: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 41
    assert re.search(message, capsys.readouterr().err)


def test_the_weights_are_listed_with_both_sources_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VEMOCLAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cli, "fetch_all", lambda *_, **__: pytest.fail("fetches"))
    assert main(["weights"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for item in artifacts().values():
        (at,) = (n for n, line in enumerate(lines) if line.startswith(f"{item.name} "))
        assert item.packages[0] in lines[at]
        if item.second_source:
            assert lines[at + 1].strip() == f"or {item.second_source}"
    assert not (tmp_path / "cache").exists()


def test_the_weights_are_fetched_and_verified_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr(
        cli, "fetch_all", lambda names, verify=False: asked.append((list(names), verify))
    )
    assert main(["weights", "--verify"]) == 0
    assert asked == [(needed(select("embedded", [])), True)]
    assert capsys.readouterr().out


def test_a_slot_is_announced_before_it_is_exported_but_not_where_it_is_unchanged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []

    def earlier(slot: Slot, *_: object) -> Report | None:
        is_good = slot.name == "fusion"
        return Report(slot.name, None, None, {}, 0.0, skipped=True) if is_good else None

    def export(slot: Slot, *_: object, **__: object) -> Report:
        told.append(capsys.readouterr().out)
        return Report(slot.name, None, None, {}, 1.0)

    monkeypatch.setattr(cli, "unchanged", earlier)
    monkeypatch.setattr(cli, "export_slot", export)
    assert main(["fusion", "speech_recognizer"]) == 0
    assert told == [f"{'fusion':18} unchanged\nexporting speech_recognizer (2 of 2) ...\n"]
    assert capsys.readouterr().out.startswith("speech_recognizer    1.0 s  files in place")
    assert main(["fusion", "--force"]) == 0
    assert told[1:] == ["exporting fusion (1 of 1) ...\n"]


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (Options("paper", Format.TORCHSCRIPT, Precision.FP16), "small"),
        (Options("paper", weights=Random(3)), None),
        (Options(), None),
    ],
)
def test_what_is_there_is_exported_again_as_it_was(
    given: Options, size: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = {slot.name: slot for slot in select(given.profile, [], size)}
    kept = {"fusion"} if isinstance(given.weights, Pretrained) else set()
    brought = {"stamp": {"profile": given.profile, "weights": "checkpoint 12ab"}}
    for name, slot in slots.items():
        document = brought if name in kept else {"stamp": stamp.stamp_of(slot, given)}
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / stamp.STAMP).write_text(json.dumps(document))
    asked: dict[str, tuple[Slot, Options]] = {}

    def export(slot: Slot, _: Path, options: Options, **__: object) -> Report:
        asked[slot.name] = slot, options
        return Report(slot.name, None, None, {}, 1.0)

    monkeypatch.setattr(cli, "export_slot", export)
    assert main(["--as-before", "--out", str(tmp_path)]) == 0
    assert asked == {name: (slots[name], given) for name in slots if name not in kept}


@pytest.mark.parametrize("is_at_random_throughout", [True, False])
def test_a_slot_that_was_exported_otherwise_by_itself_stays_so(
    is_at_random_throughout: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But weights that cannot be served with the others' are not kept."""
    whole = Options("paper", Format.TORCHSCRIPT, weights=Random(3))
    alone = Options(
        "paper",
        precision=Precision.INT8,
        weights=Random(5) if is_at_random_throughout else Pretrained(),
    )
    names = ("image_encoder", "face_expression", "captioner")
    for name, slot in zip(names, select("paper", list(names)), strict=True):
        options = supported(slot, alone if name == "face_expression" else whole)
        (tmp_path / name / "1").mkdir(parents=True)
        document = {"stamp": stamp.stamp_of(slot, options)}
        (tmp_path / name / stamp.STAMP).write_text(json.dumps(document))
    asked: dict[str, Options] = {}

    def export(slot: Slot, _: Path, options: Options, **__: object) -> Report:
        asked[slot.name] = options
        return Report(slot.name, None, None, {}, 1.0)

    monkeypatch.setattr(cli, "export_slot", export)
    assert main(["--as-before", *names, "--out", str(tmp_path)]) == 0
    assert asked == {
        "image_encoder": whole,
        "face_expression": alone
        if is_at_random_throughout
        else replace(alone, weights=whole.weights),
        "captioner": whole,
    }


@pytest.mark.parametrize(
    "choice",
    [
        "--profile embedded",
        "--format onnx",
        "--weights pretrained",
        "--seed 0",
        "--translator none",
    ],
)
def test_what_was_chosen_before_is_not_chosen_again(
    choice: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither in silence nor where it names the default."""
    monkeypatch.setattr(cli, "export_slot", lambda *_, **__: pytest.fail("exports"))
    with pytest.raises(SystemExit) as ended:
        main(["--as-before", *choice.split(), "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert f"leave out {choice.split()[0]}, or" in capsys.readouterr().err


def test_the_paper_profile_asks_for_its_head_before_it_fetches_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "export_slot", lambda *_, **__: pytest.fail("exports"))
    assert main(["--profile", "paper", "--out", str(tmp_path)]) == 47
    assert "--head FILE" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_force_does_not_ask_for_a_head_that_was_brought_earlier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "fusion" / "1" / "checkpoint.pt"
    kept.parent.mkdir(parents=True)
    kept.touch()
    brought = {"profile": "paper", "weights": "checkpoint 12ab"}
    (tmp_path / "fusion" / stamp.STAMP).write_text(json.dumps({"stamp": brought}))
    asked = []

    def export(slot: Slot, _: Path, options: Options, **__: object) -> Report:
        asked.append(options.weights)
        return Report(slot.name, None, None, {}, 1.0)

    monkeypatch.setattr(cli, "export_slot", export)
    command = ["fusion", "--profile", "paper", "--out", str(tmp_path)]
    assert main([*command, "--force"]) == main(command) == 0
    assert asked == [Checkpoint(kept), Checkpoint(kept)]


def test_another_profile_comes_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fusion" / "1").mkdir(parents=True)
    earlier = stamp.stamp_of(PROFILES["embedded"]["fusion"], Options())
    (tmp_path / "fusion" / stamp.STAMP).write_text(json.dumps({"stamp": earlier, "sizes": {}}))
    seen = []

    def export(slot: Slot, _: Path, staging: Path, **__: object) -> Report:
        if slot.name == "text_detector":
            raise FetchError("no network")
        (staging / slot.name / "1").mkdir(parents=True)
        (staging / slot.name / "1" / "model.onnx").touch()
        seen.append(slot.name)
        return Report(slot.name, None, None, {}, 1.0)

    monkeypatch.setattr(cli, "export_slot", export)
    before = {path for path in tmp_path.rglob("*") if path.name != "config.pbtxt"}
    assert main(["--weights", "random", "--out", str(tmp_path)]) == FetchError.exit_code
    assert seen
    assert list(tmp_path.rglob("model.onnx")) == []
    assert stamp.read(tmp_path / "fusion") == json.loads(json.dumps(earlier))
    assert before <= set(tmp_path.rglob("*"))


def test_where_nothing_is_the_embedded_profile_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        cli,
        "export_slot",
        lambda slot, _, options, **__: (
            asked.append((slot.name, options)) or Report(slot.name, None, None, {}, 1.0)
        ),
    )
    assert main(["--as-before", "--out", str(tmp_path)]) == 0
    assert asked == [(name, Options()) for name in PROFILES["embedded"]]


@pytest.mark.parametrize(("profile", "name"), NETWORKS)
def test_examples_fit_the_declarations(profile: str, name: str) -> None:
    network = PROFILES[profile][name].network
    assert network is not None
    for case in range(network.cases):
        arrays = network.examples(2, case)
        assert list(arrays) == [tensor.name for tensor in network.inputs]
        for tensor in network.inputs:
            found = arrays[tensor.name]
            sizes = [
                real if isinstance(size, str) else size
                for real, size in zip(found.shape[1:], tensor.dims, strict=True)
            ]
            assert (found.dtype.name, found.shape) == (tensor.dtype, (2, *sizes))


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    program = "import sys, export.cli; print({'torch', 'onnx', 'grpc'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={"PYTHONPATH": f"{root}:{root / 'client'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"
