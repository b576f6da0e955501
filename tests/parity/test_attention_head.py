"""The served head against a plain implementation of the mathematics that its authors state."""

from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from export.errors import CheckpointError
from export.exporting import export_slot
from export.fusion import attention
from export.options import Checkpoint, Options
from vemoclap_client.contract import (
    ATTENTION,
    CONTRIBUTIONS,
    FEATURES,
    LENGTHS,
    MODALITIES,
    PROBABILITIES,
)

Rows = dict[str, NDArray[np.float32]]
"""Modality -> the rows that were found, float32 [n, width]; absent ones are left out."""

State = dict[str, torch.Tensor]
Stats = dict[str, dict[str, torch.Tensor]]

NAMES = {
    "image": "clip",
    "audio": "beats",
    "face": "face_emotion",
    "speech": "asr_sentiment",
    "text": "ocr_sentiment",
}
WIDTHS = {"image": 512, "audio": 768, "face": 768, "speech": 768, "text": 768}
LIMITS = {
    "clip": (-11.513216, 5.377771),
    "beats": (-4.46773, 6.2564635),
    "face_emotion": (-93.499756, 83.87972),
    "asr_sentiment": (-3.8625615, 31.99348),
    "ocr_sentiment": (-3.5364149, 31.442732),
}
SEQUENCES = ("beats", "clip", "face_emotion")
VECTORS = (
    "asr_sentiment",
    "beats_clip",
    "beats_face_emotion",
    "clip_beats",
    "clip_face_emotion",
    "face_emotion_beats",
    "face_emotion_clip",
    "ocr_sentiment",
)


def random_state(seed: int) -> State:
    """Weights with the names and shapes of the released checkpoint, large enough to matter."""
    shapes: dict[str, tuple[int, ...]] = {}
    for modality, name in NAMES.items():
        shapes |= _linear(f"encoders.{name}", WIDTHS[modality], 512)
    for kind, name in product(("query_proj", "key_proj", "value_proj"), SEQUENCES):
        shapes |= _linear(f"{kind}.{name}", 512, 512)
    for pair in VECTORS[1:-1]:
        shapes[f"attention_layers.{pair}.in_proj_weight"] = (1536, 512)
        shapes[f"attention_layers.{pair}.in_proj_bias"] = (1536,)
        shapes |= _linear(f"attention_layers.{pair}.out_proj", 512, 512)
        shapes[f"attn_norms.{pair}.weight"] = shapes[f"attn_norms.{pair}.bias"] = (512,)
    shapes |= _linear("cls_mlp.0", 8 * 512, 6)
    source = torch.Generator().manual_seed(seed)
    scale = {1: 0.3, 2: 0.08}
    return {
        name: torch.randn(shape, generator=source) * scale[len(shape)]
        for name, shape in shapes.items()
    }


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def stated(state: State, rows: Rows, limits: Any = LIMITS, heads: int = 4) -> NDArray[np.float32]:
    """The probabilities of one clip, float32 [6], step by step."""
    encoded = _encode(state, rows, limits)
    vectors = {name: encoded[name][0] for name in ("asr_sentiment", "ocr_sentiment")}
    for a, b in permutations(SEQUENCES, 2):
        vectors[f"{a}_{b}"], _ = _attend(state, a, b, encoded, heads)
    joined = torch.cat([vectors[name] for name in VECTORS]).relu()
    answer: NDArray[np.float32] = _apply(state, "cls_mlp.0", joined).softmax(0).numpy()
    return answer


def stated_attention(state: State, rows: Rows, heads: int = 4) -> NDArray[np.float32]:
    """What each row of image, audio and face gets of one clip's attention, float32 [3, 16]."""
    encoded = _encode(state, rows, LIMITS)
    received = [
        torch.stack([_attend(state, a, b, encoded, heads)[1] for a in SEQUENCES if a != b])
        for b in ("clip", "beats", "face_emotion")
    ]
    answer: NDArray[np.float32] = torch.stack(received).mean(dim=(1, 2)).numpy()
    return answer


def _encode(state: State, rows: Rows, limits: Any) -> State:
    """The rows scaled, padded and encoded, by the names of the released checkpoint."""
    encoded = {}
    for modality, name in NAMES.items():
        padded = torch.zeros(1 if modality in ("speech", "text") else 16, WIDTHS[modality])
        if modality in rows:
            low, high = limits[name]
            found = torch.from_numpy(rows[modality])
            padded[: len(found)] = (found - low) / (high - low)
        encoded[name] = _apply(state, f"encoders.{name}", padded)
    return encoded


def _apply(state: State, name: str, values: torch.Tensor) -> torch.Tensor:
    return values @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def _attend(
    state: State, a: str, b: str, encoded: State, heads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The pair's vector; and its weights, mean over the heads, [queries, keys]."""
    layer = torch.nn.MultiheadAttention(512, heads, batch_first=True)
    prefix = f"attention_layers.{a}_{b}."
    layer.load_state_dict(
        {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    )
    queries = _apply(state, f"query_proj.{a}", encoded[a])
    keys = _apply(state, f"key_proj.{b}", encoded[b])
    values = _apply(state, f"value_proj.{b}", encoded[b])
    with torch.no_grad():
        attended, attention = layer(queries, keys, values, need_weights=True)
    weight, bias = (state[f"attn_norms.{a}_{b}.{kind}"] for kind in ("weight", "bias"))
    return functional.layer_norm(attended, (512,), weight, bias).mean(0), attention


@dataclass(frozen=True)
class Served:
    """An exported head, and the weights that it was exported from."""

    state: State
    session: onnxruntime.InferenceSession

    def answer(self, clips: list[Rows]) -> list[NDArray[np.float32]]:
        """PROBABILITIES and CONTRIBUTIONS of a batch, which is padded as the server pads it."""
        return list(self.session.run([PROBABILITIES, CONTRIBUTIONS], self._inputs(clips)))

    def attention(self, clips: list[Rows]) -> NDArray[np.float32]:
        """ATTENTION of a batch."""
        (answer,) = self.session.run([ATTENTION], self._inputs(clips))
        return np.asarray(answer)

    def _inputs(self, clips: list[Rows]) -> dict[str, NDArray[Any]]:
        inputs: dict[str, NDArray[Any]] = {}
        for modality in MODALITIES:
            height = 1 if modality in ("speech", "text") else 16
            padded = np.zeros((len(clips), height, WIDTHS[modality]), np.float32)
            for index, clip in enumerate(clips):
                found = clip.get(modality, padded[index, :0])
                padded[index, : len(found)] = found
            inputs[FEATURES[modality]] = padded
        lengths = [[len(clip.get(modality, ())) for modality in MODALITIES] for clip in clips]
        inputs[LENGTHS] = np.array(lengths, np.int32)
        return inputs


def serve(folder: Path, seed: int, heads: int | None = None, stats: Stats | None = None) -> Served:
    """Export random weights as a user would export the authors' checkpoint."""
    folder.mkdir(exist_ok=True)
    state = random_state(seed)
    path = folder / "model.pt"
    torch.save(state, path)
    stats_path = None
    if stats:
        stats_path = folder / "stats.pt"
        torch.save(stats, stats_path)
    options = Options(profile="paper", weights=Checkpoint(path))
    repository = folder / "repository"
    slot = attention.choose(options, heads, stats_path)
    assert slot is not None
    export_slot(slot, repository, options=options)
    return Served(state, onnxruntime.InferenceSession(repository / "fusion" / "1/model.onnx"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return serve(tmp_path_factory.mktemp("head"), seed=1)


def draw(seed: int, present: tuple[bool, ...] = (True,) * 5, full: bool = False) -> Rows:
    """Raw features in the range that the authors' have; sequences as short as may be."""
    source = np.random.default_rng(seed)
    rows = {}
    for modality, is_there in zip(MODALITIES, present, strict=True):
        low, high = LIMITS[NAMES[modality]]
        length = 16 if full else int(source.integers(1, 17))
        height = 1 if modality in ("speech", "text") else length
        if is_there:
            shape = (height, WIDTHS[modality])
            rows[modality] = source.uniform(low, high, shape).astype(np.float32)
    return rows


def test_every_pattern_of_absent_and_short_modalities_is_answered_as_stated(
    served: Served,
) -> None:
    patterns = list(product((True, False), repeat=5))
    clips = [draw(index, pattern) for index, pattern in enumerate(patterns)]
    expected = np.stack([stated(served.state, clip) for clip in clips])
    answers, _ = served.answer(clips)
    assert np.abs(answers - expected).max() <= 1e-5
    assert np.ptp(expected, axis=0).max() > 0.3, "these weights would not tell clips apart"


@pytest.mark.parametrize("full", [False, True])
def test_a_contribution_is_what_leaving_a_modality_out_changes(served: Served, full: bool) -> None:
    clip = draw(100, full=full)
    without = [{k: v for k, v in clip.items() if k != modality} for modality in MODALITIES]
    complete = stated(served.state, clip)
    expected = np.stack([complete - stated(served.state, partly) for partly in without])
    _, contributions = served.answer([clip])
    assert np.abs(contributions[0] - expected).max() <= 2e-5


def test_attention_is_what_rows_get_as_keys_in_every_pattern_of_absence(served: Served) -> None:
    patterns = list(product((True, False), repeat=5))
    clips = [draw(index, pattern) for index, pattern in enumerate(patterns)]
    clips.append(draw(100, full=True))
    expected = np.stack([stated_attention(served.state, clip) for clip in clips])
    answers = served.attention(clips)
    assert answers.shape == (len(clips), 3, 16)
    assert np.abs(answers - expected).max() <= 1e-5
    assert np.abs(answers.sum(axis=2) - 1).max() <= 1e-5
    for index, modality in enumerate(("image", "audio", "face")):
        spread = np.ptp(answers[:, index], axis=1)
        is_there = np.array([modality in clip for clip in clips])
        assert spread[~is_there].max() <= 1e-6, "padding is all alike"
        assert spread[is_there].max() > 0.02, "these weights would not tell rows apart"


def test_four_heads_differ_from_eight(tmp_path: Path) -> None:
    clips = [draw(index) for index in range(4)]
    eight = serve(tmp_path / "eight", seed=2, heads=8)
    shares = np.stack([stated_attention(eight.state, clip, heads=8) for clip in clips])
    shares_of_four = np.stack([stated_attention(eight.state, clip, heads=4) for clip in clips])
    attended = eight.attention(clips)
    assert np.abs(attended - shares).max() <= 1e-5
    assert np.abs(attended - shares_of_four).max() > 1e-3
    expected = np.stack([stated(eight.state, clip, heads=8) for clip in clips])
    answers, _ = eight.answer(clips)
    assert np.abs(answers - expected).max() <= 1e-5
    of_four = np.stack([stated(eight.state, clip, heads=4) for clip in clips])
    assert np.abs(answers - of_four).max() > 1e-3


def test_the_stats_of_other_training_data_are_respected(tmp_path: Path) -> None:
    limits = {name: (low - 3.0, high * 1.7) for name, (low, high) in LIMITS.items()}
    stats = {
        name: {
            "min": torch.tensor(low),
            "max": torch.tensor(high),
            "mean": torch.tensor(0.0),
            "std": torch.tensor(1.0),
        }
        for name, (low, high) in limits.items()
    }
    of_others = serve(tmp_path, seed=3, stats=stats)
    clip = draw(7)
    answers, _ = of_others.answer([clip])
    assert np.abs(answers[0] - stated(of_others.state, clip, limits)).max() <= 1e-5
    assert np.abs(answers[0] - stated(of_others.state, clip)).max() > 1e-3


def test_keys_that_do_not_fit_are_named(tmp_path: Path) -> None:
    state = random_state(1)
    state["encoders.vision.weight"] = state.pop("encoders.clip.weight")
    state["cls_mlp.0.bias"] = torch.zeros(7)
    path = tmp_path / "model.pt"
    torch.save(state, path)
    with pytest.raises(CheckpointError) as caught:
        attention.restore(path)
    for words in (
        "missing: encoders.clip.weight",
        "unexpected: encoders.vision.weight",
        "cls_mlp.0.bias (7,) instead of (6,)",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "stats",
    [
        {"clip": {"min": 0.0, "max": 1.0}},
        {name: {"min": 1.0, "max": 1.0} for name in LIMITS},
        dict.fromkeys(LIMITS, 3),
    ],
    ids=["a feature is missing", "empty ranges", "no ranges"],
)
def test_stats_that_are_none_are_refused(stats: Any, tmp_path: Path) -> None:
    path = tmp_path / "stats.pt"
    torch.save(stats, path)
    with pytest.raises(CheckpointError, match=r"stats\.pt"):
        attention.read_stats(path)


def test_heads_that_do_not_divide_the_width_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(random_state(1), path)
    options = Options(profile="paper", weights=Checkpoint(path))
    slot = attention.choose(options, head_count=5)
    assert slot is not None
    with pytest.raises(CheckpointError, match="5 heads"):
        export_slot(slot, tmp_path / "repository", options=options)


def test_a_head_of_another_profile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(random_state(1), path)
    options = Options(profile="embedded", weights=Checkpoint(path))
    with pytest.raises(CheckpointError, match="profile paper"):
        attention.choose(options)
