"""The exporter on a toy network that stands in for the audio encoder."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export import leftovers, stamp
from export.errors import ParityError, SpecMismatchError
from export.exporting import MODEL, export_slot
from export.parity import largest_difference
from export.slots import audio_encoder
from export.spec import Arrays, Files, Network, Slot, Tensor

WINDOW = audio_encoder.WINDOW


class Toy(torch.nn.Module):
    def forward(self, window: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        peaks = window.reshape(-1, 4, WINDOW // 4).amax(2) + 1.0
        return peaks, peaks.mean(1, keepdim=True)


def load(_: Files) -> torch.nn.Module:
    return Toy().eval()


def examples(batch: int, case: int) -> Arrays:
    random = np.random.default_rng([batch, case])
    return {"WINDOW": random.normal(size=(batch, WINDOW)).astype(np.float32)}


NETWORK = Network(
    inputs=(Tensor("WINDOW", "float32", (WINDOW,)),),
    outputs=(Tensor("FEATURES", "float32", (4,)), Tensor("EVENTS", "float32", (1,))),
    load=load,
    examples=examples,
)
TOY = Slot("audio_encoder", __name__, network=NETWORK, texts={"labels.txt": "Peak\n"})


def spoil(model: onnx.ModelProto) -> None:
    """Change a constant of the graph by one part in a thousand."""
    for initializer in model.graph.initializer:
        value = onnx.numpy_helper.to_array(initializer)
        if value.dtype == np.float32 and value.size == 1:
            spoilt = onnx.numpy_helper.from_array(value * np.float32(1.001), initializer.name)
            initializer.CopyFrom(spoilt)
            return
    raise AssertionError("no constant to spoil")


def with_network(**changes: object) -> Slot:
    return replace(TOY, network=replace(NETWORK, **changes))  # type: ignore[arg-type]


def test_another_folder_becomes_a_servable_repository(tmp_path: Path) -> None:
    report = export_slot(TOY, tmp_path)
    assert max(report.differences.values()) <= NETWORK.tolerance
    folder = tmp_path / "audio_encoder"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {"config.pbtxt", "labels.txt", MODEL, "1/export.json"}
    assert (folder / "labels.txt").read_text() == "Peak\n"


def test_a_second_export_is_skipped_until_something_changes(tmp_path: Path) -> None:
    first = export_slot(TOY, tmp_path)
    second = export_slot(TOY, tmp_path)
    assert second.skipped
    assert second.differences == first.differences
    assert not export_slot(replace(TOY, texts={"labels.txt": "Other\n"}), tmp_path).skipped
    (tmp_path / "audio_encoder" / MODEL).write_bytes(b"cut off")
    assert not export_slot(replace(TOY, texts={"labels.txt": "Other\n"}), tmp_path).skipped


def test_a_changed_data_file_is_exported_again(tmp_path: Path) -> None:
    data = tmp_path / "words.toml"
    slot = replace(TOY, data=(data,))
    data.write_text("a")
    export_slot(slot, tmp_path)
    assert export_slot(slot, tmp_path).skipped
    data.write_text("b")
    assert not export_slot(slot, tmp_path).skipped


@pytest.mark.parametrize("changed", ["slot.py", "imported.py"])
def test_changed_source_of_the_slot_is_exported_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    monkeypatch.setitem(stamp.ROOTS, "toy", tmp_path)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "slot.py").write_text("from toy import imported\n")
    (tmp_path / "toy" / "imported.py").write_text("SIZE = 1\n")
    slot = replace(TOY, module="toy.slot")
    export_slot(slot, tmp_path)
    assert export_slot(slot, tmp_path).skipped
    with (tmp_path / "toy" / changed).open("a") as file:
        file.write("OTHER = 2\n")
    assert not export_slot(slot, tmp_path).skipped


@pytest.mark.parametrize("library", ["numpy", "onnx", "torch", "transformers"])
def test_another_version_of_a_library_means_another_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    export_slot(TOY, tmp_path)
    real = stamp.version
    monkeypatch.setattr(stamp, "version", lambda name: real(name) + ".1" * (name == library))
    assert not export_slot(TOY, tmp_path).skipped


def test_sizes_left_open_in_the_configuration_get_a_word(tmp_path: Path) -> None:
    export_slot(TOY, tmp_path)
    model = onnx.load(tmp_path / "audio_encoder" / MODEL)
    (features, _) = model.graph.output
    assert [d.dim_param for d in features.type.tensor_type.shape.dim] == ["batch", "features_1"]


def test_a_parity_miss_fails_and_keeps_the_earlier_model(tmp_path: Path) -> None:
    export_slot(TOY, tmp_path)
    earlier = (tmp_path / "audio_encoder" / MODEL).read_bytes()
    with pytest.raises(ParityError, match=r"audio_encoder: FEATURES differs .* by \d.\de-0\d"):
        export_slot(with_network(finish=spoil), tmp_path, force=True)
    assert (tmp_path / "audio_encoder" / MODEL).read_bytes() == earlier


def test_an_interrupted_export_keeps_the_earlier_model(tmp_path: Path) -> None:
    def interrupted(_: onnx.ModelProto) -> None:
        raise KeyboardInterrupt

    export_slot(TOY, tmp_path)
    earlier = (tmp_path / "audio_encoder" / MODEL).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        export_slot(with_network(finish=interrupted), tmp_path, force=True)
    version = tmp_path / "audio_encoder" / "1"
    assert sorted(path.name for path in version.iterdir()) == ["export.json", "model.onnx"]
    assert (version / "model.onnx").read_bytes() == earlier
    assert json.loads((version / "export.json").read_text())["sizes"][MODEL] == len(earlier)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ((Tensor("FEATURES", "float32", (4,)),), "but config.pbtxt says"),
        ((Tensor("FEATURES", "float32", (4, 2)), NETWORK.outputs[1]), r"has sizes \(4, 2\)"),
        ((Tensor("FEATURES", "float32", (5,)), NETWORK.outputs[1]), r"declared are \[None, 5\]"),
        (
            (Tensor("FEATURES", "float32", ("n",)), NETWORK.outputs[1]),
            r"declared are \[None, None\]",
        ),
    ],
)
def test_a_wrong_declaration_fails(
    tmp_path: Path, outputs: tuple[Tensor, ...], message: str
) -> None:
    with pytest.raises(SpecMismatchError, match=message):
        export_slot(with_network(outputs=outputs), tmp_path)
    assert not (tmp_path / "audio_encoder" / MODEL).exists()


def test_a_difference_is_relative_and_nan_counts_as_infinite() -> None:
    reference = np.array([[10.0, 2.0]], np.float32)
    assert largest_difference(reference + np.float32(1), reference) == pytest.approx(0.1)
    assert largest_difference(reference * np.float32("nan"), reference) == float("inf")


@pytest.mark.parametrize(("age_s", "kept"), [(3500, True), (3700, False)])
def test_leftovers_of_a_killed_export_are_removed_when_they_are_old(
    age_s: int, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = tmp_path / "audio_encoder" / "1"
    for name in (".export-killed", "whisper"):
        (version / name).mkdir(parents=True)
        (version / name / "model.onnx").touch()
    now = time.time()
    monkeypatch.setattr(leftovers.time, "time", lambda: now + age_s)
    export_slot(TOY, tmp_path)
    folders = sorted(path.name for path in version.iterdir() if path.is_dir())
    assert folders == [".export-killed", "whisper"][not kept :]
