"""The exporter on a toy network that stands in for the audio encoder."""

import json
import time
import warnings
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export import exporting, parity, stamp
from export.configuration import REPOSITORY
from export.errors import CheckpointError, ParityError, SpecMismatchError
from export.exporting import export_slot, unchanged
from export.fusion import attention
from export.networks.state import read_checkpoint, read_settings
from export.options import Checkpoint, Format, Options, Precision, Random, Weights
from export.parity import largest_difference
from export.placing import remove_others
from export.slots import audio_encoder
from export.spec import Builder, Slot, Tensor
from export.variants import VARIANTS_OF
from server.backends.onnx_metadata import read_metadata
from server.repository import check_weights, read_configs, variants
from tests.unit.toy_slot import NETWORK, TOY, load, restore
from vemoclap_client import files

MODEL = f"1/{Format.ONNX.filename}"
WINDOW = audio_encoder.WINDOW
DISABLED = {Precision.FP16: "NchwcTransformer", Precision.INT8: "SkipLayerNormFusion"}
VARIANT_FILES = {f"configs/{variant}.pbtxt" for variant in VARIANTS_OF}


def spoil(model: onnx.ModelProto, _: Weights) -> None:
    """Change a constant of the graph by a hundredth."""
    for initializer in model.graph.initializer:
        value = onnx.numpy_helper.to_array(initializer)
        if value.dtype == np.float32 and np.abs(value).max() > 0:
            spoilt = onnx.numpy_helper.from_array(value * np.float32(1.01), initializer.name)
            initializer.CopyFrom(spoilt)
            return
    raise AssertionError("no constant to spoil")


def with_network(**changes: object) -> Slot:
    return replace(TOY, network=replace(NETWORK, **changes))  # type: ignore[arg-type]


def test_another_folder_becomes_a_servable_repository(tmp_path: Path) -> None:
    report = export_slot(TOY, tmp_path)
    assert max(report.figures.values()) <= NETWORK.tolerance
    folder = tmp_path / "audio_encoder"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {"config.pbtxt", "labels.txt", MODEL, "1/export.json", *VARIANT_FILES}
    assert (folder / "labels.txt").read_text() == "Peak\n"


def test_a_second_export_is_skipped_until_something_changes(tmp_path: Path) -> None:
    first = export_slot(TOY, tmp_path)
    second = export_slot(TOY, tmp_path)
    assert second.skipped
    assert second.figures == first.figures
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
    with pytest.raises(ParityError, match=r"audio_encoder: FEATURES differs .* by \d\.\de-\d\d"):
        export_slot(with_network(finish=spoil), tmp_path, force=True)
    assert (tmp_path / "audio_encoder" / MODEL).read_bytes() == earlier


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


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("chosen", Format)
def test_every_format_and_precision_is_written_and_checked(
    chosen: Format, precision: Precision, tmp_path: Path
) -> None:
    options = Options(format=chosen, precision=precision)
    report = export_slot(TOY, tmp_path, options=options)
    assert (report.format, report.precision) == (chosen, precision)
    assert set(report.figures) == {"FEATURES", "EVENTS"}
    stamped = json.loads((tmp_path / "audio_encoder" / "1" / "export.json").read_text())
    assert set(stamped["sizes"]) == {f"1/{chosen.filename}", "labels.txt"}
    if chosen is Format.ONNX:
        metadata = read_metadata(tmp_path / "audio_encoder" / MODEL)
        assert metadata.get("disabled_optimizers") == DISABLED.get(precision)
    exact = precision is Precision.FP32
    assert (max(report.figures.values()) < 1e-5) == exact
    assert unchanged(TOY, tmp_path, options) is not None
    assert unchanged(TOY, tmp_path) is None or (chosen, precision) == (Format.ONNX, Precision.FP32)


def test_another_format_replaces_the_earlier_model(tmp_path: Path) -> None:
    export_slot(TOY, tmp_path)
    export_slot(TOY, tmp_path, options=Options(format=Format.TORCHSCRIPT))
    version = tmp_path / "audio_encoder" / "1"
    assert sorted(path.name for path in version.iterdir()) == ["export.json", "model.pt"]


def test_torchscript_follows_the_device_of_its_input(tmp_path: Path) -> None:
    export_slot(TOY, tmp_path, options=Options(format=Format.TORCHSCRIPT))
    with warnings.catch_warnings(action="ignore"):
        loaded = torch.jit.load(tmp_path / "audio_encoder" / "1" / "model.pt")
    assert "prim::device" in str(loaded.graph)
    assert 'value="cpu"' not in str(loaded.graph)


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_a_reduced_precision_that_is_too_coarse_fails(
    precision: Precision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "FP16_TOLERANCE", 1e-9)
    monkeypatch.setattr(parity, "INT8_COSINE", 1.0)
    with pytest.raises(ParityError, match="audio_encoder: FEATURES"):
        export_slot(TOY, tmp_path, options=Options(precision=precision))


def test_random_weights_differ_by_seed_and_are_the_same_for_the_same(tmp_path: Path) -> None:
    contents = []
    for number, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(number)
        export_slot(TOY, folder, options=Options(weights=Random(seed)))
        contents.append((folder / "audio_encoder" / MODEL).read_bytes())
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_a_checkpoint_that_the_user_brings_is_exported(tmp_path: Path) -> None:
    path = tmp_path / "toy.pt"
    torch.save(load({}).state_dict(), path)
    export_slot(TOY, tmp_path / "a", options=Options(weights=Checkpoint(path)))
    export_slot(TOY, tmp_path / "b")
    ours, theirs = (tmp_path / name / "audio_encoder" / MODEL for name in "ab")
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer.bias": None}, r"1 keys missing: layer\.bias"),
        ({"head.bias": torch.zeros(2)}, r"1 keys unexpected: head\.bias"),
        (
            {"layer.bias": torch.zeros(3)},
            r"1 keys of another shape: layer\.bias \(3,\) instead of \(4,\)",
        ),
        ({"layer.bias": "four"}, r"layer\.bias str instead of \(4,\)"),
        ({7: torch.zeros(2)}, r"1 keys unexpected: 7"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_told_by_its_keys(
    change: dict[object, object], message: str, tmp_path: Path
) -> None:
    export_slot(TOY, tmp_path)
    earlier = (tmp_path / "audio_encoder" / MODEL).read_bytes()
    state: dict[object, object] = {**load({}).state_dict(), **change}
    path = tmp_path / "toy.pt"
    torch.save({name: value for name, value in state.items() if value is not None}, path)
    with pytest.raises(CheckpointError, match=message):
        export_slot(TOY, tmp_path, options=Options(weights=Checkpoint(path)))
    assert (tmp_path / "audio_encoder" / MODEL).read_bytes() == earlier


class Program:
    """Runs code where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def test_a_checkpoint_that_would_run_code_is_refused_without_advice_to_let_it(
    tmp_path: Path,
) -> None:
    torch.save({"layer.bias": Program(tmp_path / "ran")}, tmp_path / "toy.pt")
    with pytest.raises(CheckpointError, match=r"toy\.pt .* holds code, \w+\. It must be") as caught:
        read_checkpoint(tmp_path / "toy.pt")
    assert not (tmp_path / "ran").exists()
    assert "torch.load" not in str(caught.value)


def test_weights_that_a_slot_would_pass_over_are_refused(tmp_path: Path) -> None:
    """Filled with others, it would be stamped as what it is not."""
    fixed = replace(TOY, random=None, checkpoint=None)
    for weights in (Random(), Checkpoint(Path(__file__))):
        with pytest.raises(CheckpointError, match="slot audio_encoder of profile embedded "):
            export_slot(fixed, tmp_path, options=Options(weights=weights))
    with pytest.raises(CheckpointError, match="--head FILE"):
        export_slot(replace(TOY, pretrained=None), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_lies_beside_a_checkpoint_decides_too(tmp_path: Path) -> None:
    path = tmp_path / "toy.pt"
    torch.save(load({}).state_dict(), path)
    slot, options = (
        replace(TOY, checkpoint=Builder(network=restore, companion_files=("config.json",))),
        Options(weights=Checkpoint(path)),
    )
    export_slot(slot, tmp_path / "out", options=options)
    assert unchanged(slot, tmp_path / "out", options)
    (tmp_path / "config.json").write_text("{}")
    assert not unchanged(slot, tmp_path / "out", options)


def test_a_checksum_that_is_only_known_once_fetched_is_in_the_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = []
    monkeypatch.setattr(exporting, "fetch_all", lambda names: known.extend(names) or {})
    monkeypatch.setattr(stamp, "identity", lambda _: "checksum" if known else "name")
    slot = replace(TOY, pretrained=Builder(network=load, artifacts=("sample_bunny",)))
    export_slot(slot, tmp_path)
    assert known == ["sample_bunny"]
    assert unchanged(slot, tmp_path)


def test_what_is_written_by_hand_is_brought_up_to_date_without_an_export(tmp_path: Path) -> None:
    export_slot(TOY, tmp_path)
    config = tmp_path / "audio_encoder" / "config.pbtxt"
    for spoil_it in (config.unlink, lambda: config.write_text("stale")):
        spoil_it()
        assert export_slot(TOY, tmp_path).skipped
        assert config.read_bytes() == (REPOSITORY / "audio_encoder" / "config.pbtxt").read_bytes()
    written_at = config.stat().st_mtime_ns
    assert export_slot(TOY, tmp_path).skipped
    assert config.stat().st_mtime_ns == written_at  # a Triton that polls would load it again


def test_of_two_exports_at_once_one_waits_to_put_its_files_in_move_to(tmp_path: Path) -> None:
    export_slot(TOY, tmp_path)
    folder = tmp_path / "audio_encoder"
    with ThreadPoolExecutor() as pool:
        with files.locked(folder):
            other = pool.submit(export_slot, TOY, tmp_path, True, Options(weights=Random(1)))
            while not list(folder.glob("1/.export-*/1/export.json")):
                time.sleep(0.02)
            assert wait([other], timeout=0.2).not_done
            assert stamp.weights(folder) == "pretrained"
        assert other.result().slot == "audio_encoder"
    assert stamp.weights(folder) == "random, seed 1"


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_settings_that_are_none_are_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_settings(tmp_path / "config.json")


def test_what_another_profile_has_left_is_removed(tmp_path: Path) -> None:
    export_slot(TOY, tmp_path)
    assert remove_others({"audio_encoder": TOY}, tmp_path) == []
    assert remove_others({}, tmp_path) == ["audio_encoder"]
    folder = tmp_path / "audio_encoder"
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == {"config.pbtxt", *VARIANT_FILES}


def test_a_difference_is_relative_and_nan_counts_as_infinite() -> None:
    reference = np.array([[10.0, 2.0]], np.float32)
    assert largest_difference(reference + np.float32(1), reference) == pytest.approx(0.1)
    assert largest_difference(reference * np.float32("nan"), reference) == float("inf")


def test_a_stamp_names_the_files_that_it_depends_on_and_no_others(tmp_path: Path) -> None:
    """A module that only a type checker imports changes nothing about an export."""
    named = stamp.stamp_of(attention.SLOT, Options("paper", weights=Random()))["sources"]
    assert isinstance(named, dict)
    assert {"export.fusion.attention_head", "export.graph", "config.pbtxt"} <= named.keys()
    ours = {name for name in named if name.startswith("vemoclap_client")}
    assert ours == {"vemoclap_client.contract", "vemoclap_client.errors"}
    assert not {"export.cli", "export.exporting", "export.placing"} & named.keys()


def test_a_head_that_was_brought_is_exported_again_without_asking_for_it(tmp_path: Path) -> None:
    checkpoint, out = tmp_path / "toy.pt", tmp_path / "out"
    torch.save(load({}).state_dict(), checkpoint)
    slot = replace(TOY, pretrained=None)
    export_slot(slot, out, options=Options("paper", weights=Checkpoint(checkpoint)))
    model = out / "audio_encoder" / MODEL
    before = model.read_bytes()
    checkpoint.unlink()
    kept = exporting.kept_checkpoint(out / "audio_encoder", "paper")
    assert kept is not None
    options = Options("paper", weights=Checkpoint(kept))
    assert unchanged(slot, out, options)
    model.unlink()
    export_slot(slot, out, force=True, options=options)
    assert model.read_bytes() == before
    assert exporting.kept_checkpoint(out / "audio_encoder", "paper") == kept
    assert exporting.kept_checkpoint(out / "audio_encoder", "embedded") is None


def test_an_exported_slot_is_served_in_every_variant(tmp_path: Path) -> None:
    export_slot(TOY, tmp_path, options=Options(format=Format.TORCHSCRIPT))
    assert variants(tmp_path) == sorted(VARIANTS_OF)
    check_weights(tmp_path, read_configs(tmp_path, "torchscript"))
