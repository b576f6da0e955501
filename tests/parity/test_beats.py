"""BEATs and its front end against torchaudio's and speechbrain's own, and its checkpoints."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torchaudio.compliance.kaldi as kaldi
from speechbrain.lobes.models.beats import BEATs

from export.errors import CheckpointError
from export.networks import beats
from export.networks.kaldi_fbank import POWER_FLOOR, KaldiFbank
from export.slots.paper import audio_encoder
from tests.parity.sounds import speech

BANDS_TOLERANCE = 1e-3
"""Absolute, of natural logarithms of energies."""

TOLERANCE = 1e-5
"""Relative to the largest magnitude."""

WINDOW = audio_encoder.WINDOW
SHALLOW = {**beats.SETTINGS, "encoder_layers": 1, "encoder_ffn_embed_dim": 64}

pytestmark = pytest.mark.parity


def square_wave(period: int) -> npt.NDArray[np.float32]:
    half_periods = np.arange(WINDOW) // (period // 2)
    return np.where(half_periods % 2 == 0, 1, -1).astype(np.float32)


def speech_windows() -> torch.Tensor:
    """Return float32 [3, 48000]."""
    return torch.from_numpy(speech()[: 3 * WINDOW].reshape(3, WINDOW).copy())


def kaldi_bands(window: torch.Tensor) -> torch.Tensor:
    settings: dict[str, Any] = {"num_mel_bins": 128, "sample_frequency": 16000}
    bands: torch.Tensor = kaldi.fbank(window[None] * 2**15, frame_length=25, **settings)
    return bands


@pytest.mark.parametrize("which", range(3))
def test_the_front_end_hears_speech_as_kaldi(which: int) -> None:
    window = speech_windows()[which]
    found = KaldiFbank()(window[None])[0]
    assert found.shape == (298, 128)
    assert (found - kaldi_bands(window)).abs().max() < BANDS_TOLERANCE


@pytest.mark.parametrize("period", [32, 36, 80, 160, 1600, 16000])
def test_the_front_end_hears_a_full_scale_square_wave_as_kaldi(period: int) -> None:
    """16000: frames that lie between two edges hold a constant, which must not be heard."""
    window = torch.from_numpy(square_wave(period))
    found = KaldiFbank()(window[None])[0]
    assert (found - kaldi_bands(window)).abs().max() < BANDS_TOLERANCE


def test_silence_is_the_logarithm_of_the_floor() -> None:
    found = KaldiFbank()(torch.zeros(2, WINDOW))
    assert torch.equal(found[0], kaldi_bands(torch.zeros(WINDOW)))
    assert torch.equal(found, torch.full_like(found, POWER_FLOOR).log())


def test_the_exported_front_end_stays_exact_in_int8(tmp_path: Path) -> None:
    from export import parity
    from export.precision import quantise_onnx

    path = tmp_path / "fbank.onnx"
    batch = {0: torch.export.Dim.DYNAMIC}
    windows = speech_windows()
    torch.onnx.export(
        KaldiFbank().eval(),
        (windows,),
        path,
        dynamo=True,
        verbose=False,
        opset_version=18,
        external_data=False,
        dynamic_shapes=(batch,),
    )
    quantise_onnx(path)
    session = parity.open_session(path)
    for window in windows:
        found = session.run(None, {session.get_inputs()[0].name: window[None].numpy()})[0][0]
        assert np.abs(found - kaldi_bands(window).numpy()).max() < BANDS_TOLERANCE


@dataclass(frozen=True)
class Pair:
    """One set of random weights, in the original checkpoint's format, in both programs."""

    ours: beats.AudioEncoder
    original: BEATs


def write_checkpoint(path: Path, network: beats.AudioEncoder, settings: dict[str, Any]) -> None:
    """Write the network's weights as the authors' program did."""
    state = dict(network.state_dict())
    weight = state.pop("encoder.pos_conv.0.weight")
    state["encoder.pos_conv.0.weight_g"] = weight.norm(dim=(0, 1), keepdim=True)
    state["encoder.pos_conv.0.weight_v"] = 2 * weight
    labels = {index: f"/m/{index}" for index in range(audio_encoder.EVENTS)}
    torch.save({"cfg": settings, "model": state, "label_dict": labels}, path)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    path = tmp_path_factory.mktemp("beats") / "BEATs.pt"
    # As in the published checkpoint; the original's forward passes through an autograd function.
    settings = {**beats.SETTINGS, "layer_wise_gradient_decay_ratio": 0.6}
    torch.manual_seed(0)
    network = audio_encoder.random()
    with torch.no_grad():  # they start as constants, which would hide a mistake
        for parameter in network.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    write_checkpoint(path, network, settings)
    del network
    pair = Pair(audio_encoder.restore(path), BEATs(str(path)))
    path.unlink()
    return pair


@pytest.mark.parametrize(
    ("sound", "batch"), [("speech", 1), ("speech", 3), ("noise", 1), ("tone", 3)]
)
def test_the_network_answers_as_the_original(pair: Pair, sound: str, batch: int) -> None:
    windows = {
        "speech": speech_windows()[:batch],
        "noise": torch.from_numpy(audio_encoder.examples(batch, 0)["WINDOW"]),
        "tone": torch.from_numpy(audio_encoder.examples(batch, 1)["WINDOW"]),
    }[sound]
    with torch.inference_mode():
        features, events = pair.ours(windows)
        states, probabilities, _ = pair.original(windows, torch.ones(batch))
    assert features.shape == (batch, audio_encoder.FEATURES)
    assert events.shape == (batch, audio_encoder.EVENTS)
    expected = states.mean(1)
    assert (features - expected).abs().max() < TOLERANCE * expected.abs().max()
    assert (events - probabilities).abs().max() < TOLERANCE


def test_different_sounds_are_told_apart(pair: Pair) -> None:
    """Else the comparison above would compare nothing."""
    with torch.inference_mode():
        features, events = pair.ours(speech_windows())
    assert (features[0] - features[1]).abs().max() > 0.01
    assert (events[0] - events[1]).abs().max() > 0.001


@pytest.fixture
def shallow(tmp_path: Path) -> Path:
    path = tmp_path / "shallow.pt"
    write_checkpoint(path, beats.AudioEncoder(SHALLOW), SHALLOW)
    return path


@contextmanager
def changed(path: Path) -> Iterator[dict[str, Any]]:
    """Write back what is done to the checkpoint in the block."""
    checkpoint = torch.load(path)
    yield checkpoint
    torch.save(checkpoint, path)


def test_the_positional_convolution_survives_its_two_part_form(shallow: Path) -> None:
    torch.manual_seed(1)
    network = beats.AudioEncoder(SHALLOW)
    write_checkpoint(shallow, network, SHALLOW)
    weight = beats.restore(shallow).state_dict()["encoder.pos_conv.0.weight"]
    expected = network.state_dict()["encoder.pos_conv.0.weight"]
    assert torch.allclose(weight, expected, atol=1e-7)


def test_keys_that_do_not_fit_are_named(shallow: Path) -> None:
    with changed(shallow) as checkpoint:
        del checkpoint["model"]["layer_norm.weight"]
        checkpoint["model"]["decoder.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"missing: layer_norm\.weight.*: decoder\.weight"):
        audio_encoder.restore(shallow)


def test_another_kind_of_beats_is_refused(shallow: Path) -> None:
    with changed(shallow) as checkpoint:
        checkpoint["cfg"]["finetuned_model"] = False
    with pytest.raises(CheckpointError, match="finetuned_model is False, not True"):
        audio_encoder.restore(shallow)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(CheckpointError, match="no 'cfg', but state_dict"):
        audio_encoder.restore(path)


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """Return a table like AudioSet's, of the ids that `write_checkpoint` writes."""
    path = tmp_path / "names.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(["index", "mid", "display_name"])
        writer.writerows((n, f"/m/{n}", f"Name {n}, or so") for n in range(audio_encoder.EVENTS))
    return path


def test_labels_come_in_the_order_of_the_checkpoint(shallow: Path, names: Path) -> None:
    last = audio_encoder.EVENTS - 1
    with changed(shallow) as checkpoint:
        checkpoint["label_dict"] = {last - n: f"/m/{n}" for n in range(audio_encoder.EVENTS)}
    files = {"beats_checkpoint": shallow, "audioset_ontology": names}
    audio_encoder.make(files, shallow.parent)
    labels = (shallow.parent / "labels.txt").read_text(encoding="utf-8").splitlines()
    assert labels == [f"Name {last - n}, or so" for n in range(audio_encoder.EVENTS)]


def test_an_id_without_a_name_is_named(shallow: Path, names: Path) -> None:
    with changed(shallow) as checkpoint:
        checkpoint["label_dict"][3] = "/m/strange"
    with pytest.raises(CheckpointError, match="1 ids that are not AudioSet's: /m/strange"):
        audio_encoder.event_names(shallow, names)


def test_a_class_without_an_id_is_refused(shallow: Path, names: Path) -> None:
    with changed(shallow) as checkpoint:
        del checkpoint["label_dict"][3]
    with pytest.raises(CheckpointError, match="526 classes, not 0 to 526"):
        audio_encoder.event_names(shallow, names)


def test_random_weights_claim_no_real_event(tmp_path: Path) -> None:
    audio_encoder.make_random(0, tmp_path)
    labels = (tmp_path / "labels.txt").read_text(encoding="utf-8").splitlines()
    assert labels == [f"event {n}" for n in range(527)]
