"""Evaluation: its figures against hand-made ones, and that nothing is fitted to a test clip."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from export.errors import CheckpointError
from export.fusion import attention, description
from export.fusion.attention_head import AttentionHead
from export.fusion.description import Description
from tests.unit import synthetic
from training import (
    batches,
    bootstrap,
    calibration,
    confusion_picture,
    evaluation,
    metrics,
    report,
    store,
    trained,
)
from training.__main__ import main
from training.errors import FeatureError, OtherDataError, ProfileMismatchError, StoreError
from training.manifest import Manifest
from vemoclap_client.contract import EMOTIONS, MODALITIES

LABELS = np.array([0, 0, 0, 1, 1, 3])
PREDICTED = np.array([0, 0, 1, 1, 3, 4])
UNSCALED = dict.fromkeys(MODALITIES, (0.0, 1.0))
WIDTH = 12
FIRST, SECOND = torch.eye(WIDTH)[:6], torch.eye(WIDTH)[6:]


def reading_head() -> AttentionHead:
    """Looks the key that is shown up in the list that is heard, and answers its emotion."""
    head = AttentionHead(synthetic.WIDTHS, UNSCALED, heads=1, width=WIDTH).eval()
    only = torch.cat([torch.zeros_like(FIRST), SECOND])  # The entries' emotions.
    attend = head.get_submodule("attention_layers.clip_beats")
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        head.get_parameter("encoders.clip.weight").copy_(FIRST.T)
        head.get_parameter("encoders.beats.weight").copy_(torch.eye(WIDTH))
        head.get_parameter("query_proj.clip.weight").copy_(40 * torch.eye(WIDTH))
        keys = torch.cat([FIRST, torch.zeros_like(SECOND)])
        head.get_parameter("key_proj.beats.weight").copy_(keys)
        head.get_parameter("value_proj.beats.weight").copy_(only)
        attend.get_parameter("in_proj_weight").copy_(torch.eye(WIDTH).repeat(3, 1))
        attend.get_parameter("out_proj.weight").copy_(torch.eye(WIDTH))
        head.get_parameter("attn_norms.clip_beats.weight").fill_(1.0)
        # The vectors are joined in the order of their names: this is the fourth of eight.
        head.get_parameter("cls_mlp.0.weight")[:, 3 * WIDTH : 4 * WIDTH] = 0.5 * SECOND
    return head


def describe(data: store.Store) -> Description:
    manifest = data.manifest
    about = {"manifest_sha256": data.sha256, "slots": dict(manifest.slots)}
    return Description(
        manifest.profile, manifest.widths, UNSCALED, "synthetic", 1, WIDTH, training=about
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> store.Store:
    return synthetic.store(tmp_path_factory.mktemp("data") / "store", 240)


@pytest.fixture
def head(data: store.Store, tmp_path: Path) -> Path:
    return trained.write(tmp_path / "head", reading_head().state_dict(), describe(data))


def answers(count: int, seed: int, sureness: float) -> tuple[metrics.Floats, metrics.Indices]:
    """Logits that are as good as `sureness` 1 says, and sharper above."""
    source = np.random.default_rng(seed)
    scores = source.normal(size=(count, 6)) * 2
    shares = calibration.softmax(scores)
    labels = np.array([source.choice(6, p=row) for row in shares])
    return scores * sureness, labels


def test_the_confusion_and_what_follows_from_it_by_hand() -> None:
    matrix = metrics.confusion(LABELS, PREDICTED)
    assert matrix[0].tolist() == [2, 1, 0, 0, 0, 0]
    assert matrix[1].tolist() == [0, 1, 0, 1, 0, 0]
    assert matrix[3].tolist() == [0, 0, 0, 0, 1, 0]
    assert matrix.sum() == 6
    assert metrics.accuracy(matrix) == 3 / 6
    nan = np.nan
    np.testing.assert_allclose(metrics.precision(matrix), [1, 1 / 2, nan, 0, 0, nan])
    np.testing.assert_allclose(metrics.recall(matrix), [2 / 3, 1 / 2, nan, 0, nan, nan])
    np.testing.assert_allclose(metrics.f1(matrix), [4 / 5, 1 / 2, nan, 0, 0, nan])
    assert metrics.macro_f1(matrix) == pytest.approx((4 / 5 + 1 / 2) / 4)
    shares = metrics.normalised(matrix)
    np.testing.assert_allclose(shares[0], [2 / 3, 1 / 3, 0, 0, 0, 0])
    assert np.isnan(shares[2]).all(), "no clip of fear"


def test_metrics_agree_with_definitions_clip_by_clip() -> None:
    source = np.random.default_rng(3)
    labels, predicted = source.integers(0, 6, 500), source.integers(0, 6, 500)
    matrix = metrics.confusion(labels, predicted)
    for emotion in range(6):
        pairs = list(zip(labels == emotion, predicted == emotion, strict=True))
        right, wrong = pairs.count((True, True)), pairs.count((False, True))
        missed = pairs.count((True, False))
        precision, recall = right / (right + wrong), right / (right + missed)
        assert metrics.precision(matrix)[emotion] == pytest.approx(precision)
        assert metrics.recall(matrix)[emotion] == pytest.approx(recall)
        harmonic = 2 * precision * recall / (precision + recall)
        assert metrics.f1(matrix)[emotion] == pytest.approx(harmonic)


def test_weights_count_clips_as_often() -> None:
    weights = np.array([[1, 1, 1, 1, 1, 1], [0, 2, 0, 3, 0, 1]], float)
    matrices = metrics.confusion(LABELS, PREDICTED, weights)
    repeated = np.repeat(np.arange(6), weights[1].astype(int))
    again = metrics.confusion(LABELS[repeated], PREDICTED[repeated])
    np.testing.assert_array_equal(matrices[1], again)
    np.testing.assert_array_equal(matrices[0], metrics.confusion(LABELS, PREDICTED))
    scores, labels = answers(6, 0, 2.0)
    shares = calibration.softmax(scores)
    errors = metrics.calibration_error(shares, labels, weights)
    expected = metrics.calibration_error(shares[repeated], labels[repeated])
    assert errors[1] == pytest.approx(expected)


def test_the_calibration_error_by_hand() -> None:
    shares = np.full((4, 6), 0.0)
    shares[:, 0] = [0.9, 0.9, 0.9, 0.6]
    shares[:, 1] = [0.1, 0.1, 0.1, 0.4]
    labels = np.array([0, 0, 1, 1])
    # Three answers with 0.9 of which two are right, and one with 0.6 that is not.
    by_hand = 3 / 4 * abs(2 / 3 - 0.9) + 1 / 4 * 0.6
    assert metrics.calibration_error(shares, labels) == pytest.approx(by_hand)


def test_the_calibration_error_agrees_with_a_loop_over_bins() -> None:
    scores, labels = answers(700, 5, 3.0)
    shares = calibration.softmax(scores)
    sure, right = shares.max(1), shares.argmax(1) == labels
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (sure > low) & (sure <= low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert metrics.calibration_error(shares, labels) == pytest.approx(expected)


def cross_entropy(
    scores: metrics.Floats, labels: metrics.Indices, temperature: float = 1.0
) -> float:
    """The mean of -log p(true emotion), in nats."""
    shares = calibration.softmax(scores, temperature)
    return float(-np.log(shares[np.arange(len(labels)), labels]).mean())


@pytest.mark.parametrize(("sureness", "expected"), [(3.0, 3.0), (1.0, 1.0), (0.4, 0.4)])
def test_the_temperature_undoes_what_was_too_sure_and_changes_no_answer(
    sureness: float, expected: float
) -> None:
    scores, labels = answers(3000, 1, sureness)
    temperature = calibration.fit_temperature(scores, labels)
    assert temperature == pytest.approx(expected, rel=0.1)
    best = cross_entropy(scores, labels, temperature)
    assert best <= cross_entropy(scores, labels)
    assert best < min(cross_entropy(scores, labels, temperature * by) for by in (0.9, 1.1))
    if sureness != 1.0:
        assert best < cross_entropy(scores, labels) - 0.01
    scaled = calibration.softmax(scores, temperature)
    np.testing.assert_array_equal(scaled.argmax(1), scores.argmax(1))
    held_out, truth = answers(3000, 2, sureness)
    if sureness != 1.0:
        before, after = (
            metrics.calibration_error(calibration.softmax(held_out, t), truth)
            for t in (1.0, temperature)
        )
        assert after < before / 2


def test_a_head_that_is_never_wrong_gets_the_coldest_temperature() -> None:
    scores = np.eye(6)
    temperature = calibration.fit_temperature(scores, np.arange(6))
    assert temperature == pytest.approx(calibration.COLDEST)
    assert np.isfinite(calibration.softmax(1e4 * scores, temperature)).all()


def score_intervals(count: int) -> dict[str, bootstrap.Interval]:
    scores, labels = answers(count, 7, 2.0)
    shares, predicted = calibration.softmax(scores), scores.argmax(1)
    statistics: dict[str, bootstrap.Statistic] = {
        "accuracy": lambda w: metrics.accuracy(metrics.confusion(labels, predicted, w)),
        "macro_f1": lambda w: metrics.macro_f1(metrics.confusion(labels, predicted, w)),
        "error": lambda w: metrics.calibration_error(shares, labels, w),
    }
    return bootstrap.intervals(statistics, count)


def test_intervals_hold_the_value_and_narrow_with_more_clips() -> None:
    few, many = score_intervals(60), score_intervals(2000)
    for name in few:
        for found in (few[name], many[name]):
            assert 0 <= found.low < found.value < found.high <= 1
        assert many[name].high - many[name].low < (few[name].high - few[name].low) / 2
    assert score_intervals(60) == few, "seeded"
    accuracy = many["accuracy"]
    # As the binomial distribution has it.
    expected = 2 * 1.96 * np.sqrt(accuracy.value * (1 - accuracy.value) / 2000)
    assert accuracy.high - accuracy.low == pytest.approx(expected, rel=0.1)


def test_the_ablation_finds_the_pair_that_matters(data: store.Store) -> None:
    scored = evaluation.evaluate(reading_head(), data)
    assert scored.clips == len(data.ids("test"))
    assert scored.accuracy.value == scored.macro_f1.value == 1.0
    everything, *left_out = scored.left_out
    assert everything.modalities == MODALITIES
    assert everything.accuracy == 1.0
    for name, row in zip(MODALITIES, left_out, strict=True):
        assert name not in row.modalities
        assert len(row.modalities) == 4
        assert row.accuracy == 1.0 if name not in ("image", "audio") else row.accuracy < 0.5
    for name, row in zip(MODALITIES, scored.alone, strict=True):
        assert row.modalities == (name,)
        assert row.accuracy < 0.5
    # It is right more often than it says, which a temperature below 1 mends.
    assert scored.calibration.temperature < 1
    assert scored.calibration.after.value < scored.calibration.before.value


def test_a_modality_that_is_left_out_is_absent(data: store.Store) -> None:
    samples = batches.stack(data.samples("test"))
    kept = evaluation.keep(samples, ("audio", "speech"))
    assert kept.lengths[:, [0, 2, 4]].sum() == 0
    assert kept.rows["image"].abs().sum() == 0
    for index, name in ((1, "audio"), (3, "speech")):
        assert torch.equal(kept.lengths[:, index], samples.lengths[:, index])
        assert torch.equal(kept.rows[name], samples.rows[name])


def test_the_temperature_follows_from_validation_alone(tmp_path: Path) -> None:
    subject = reading_head()
    whole = synthetic.store(tmp_path / "whole", 120)
    for part in ("train", "test"):
        remove(whole, part)
    expected = evaluation.evaluate(subject, whole, "validation").calibration.temperature
    other = synthetic.store(tmp_path / "other", 120)
    remove(other, "train")
    assert evaluation.evaluate(subject, other).calibration.temperature == expected
    remove(other, "validation")
    with pytest.raises(StoreError, match="missing"):
        evaluation.evaluate(subject, other)


def remove(data: store.Store, part: str) -> None:
    for name in data.ids(part):
        (data.folder / store.CLIPS / data.manifest.clips[name]["file"]).unlink()


def test_the_command_writes_the_figures_and_the_picture(
    data: store.Store, head: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", str(data.folder), "--head", str(head)]
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "accuracy  100.0% [100.0%, 100.0%]" in said.out
    assert "without image" in said.out
    document = json.loads((head.parent / report.FILE).read_text())
    assert document["warnings"] == []
    assert document["accuracy"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert document["data"]["manifest_sha256"] == data.sha256
    assert document["data"]["split"] == "test"
    assert list(document["classes"]) == list(EMOTIONS)
    assert sum(row["support"] for row in document["classes"].values()) == len(data.ids("test"))
    assert document["confusion"]["normalised"] == np.eye(6).tolist()
    assert document["calibration"]["bins"] == 15
    first = (head.parent / report.FILE).read_bytes()
    image = Image.open(head.parent / "confusion.png")
    assert image.getpixel(pixel(0, 0)) == confusion_picture.DARK
    assert image.getpixel(pixel(0, 5)) == confusion_picture.LIGHT
    assert main([*command, "--split", "validation", "--out", str(head.parent / "other")]) == 0
    assert "temperature is fitted to it" in capsys.readouterr().err
    assert main(command) == 0
    assert (head.parent / report.FILE).read_bytes() == first


def pixel(row: int, column: int) -> tuple[int, int]:
    """A place in a cell that its number does not cover."""
    left, top = (offset + 5 for offset in (confusion_picture.LEFT_PX, confusion_picture.TOP_PX))
    return left + column * confusion_picture.CELL_PX, top + row * confusion_picture.CELL_PX


def test_the_picture_shows_which_emotion_was_taken_for_which(tmp_path: Path) -> None:
    shares = metrics.normalised(metrics.confusion(LABELS, PREDICTED))
    confusion_picture.write(tmp_path / "confusion.png", shares)
    image = Image.open(tmp_path / "confusion.png")
    assert image.getpixel(pixel(0, 1)) == confusion_picture.colour(1 / 3), "anger taken for disgust"
    assert image.getpixel(pixel(1, 0)) == confusion_picture.LIGHT, "and not the other way round"
    assert image.getpixel(pixel(2, 2)) == confusion_picture.EMPTY, "no clip of fear"


def test_other_data_are_refused_unless_allowed_and_then_warned_of(
    head: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = synthetic.store(tmp_path / "other", 60, seed=9, name="other clips")
    with pytest.raises(OtherDataError, match="other clips"):
        evaluation.load(head, other, "test")
    command = ["evaluate", str(other.folder), "--head", str(head)]
    assert main(command) == OtherDataError.exit_code
    assert "--allow-other-data" in capsys.readouterr().err
    assert not (head.parent / report.FILE).exists()
    assert main([*command, "--allow-other-data"]) == 0
    assert "may have been trained on clips of this split" in capsys.readouterr().err
    document = json.loads((head.parent / report.FILE).read_text())
    assert len(document["warnings"]) == 1


def test_the_released_checkpoint_is_warned_of(tmp_path: Path) -> None:
    described = Manifest("Ekman-6", "paper", {}, attention.WIDTHS)
    writer = store.Writer(tmp_path / "store", described)
    source = np.random.default_rng(0)
    labels = {}
    for number in range(6):
        sample = synthetic.sample(number, source)
        rows = {m: np.zeros((1, w), np.float32) for m, w in attention.WIDTHS.items()}
        labels[sample.id] = EMOTIONS[number % 2]
        writer.add(replace(sample, label=labels[sample.id], features=rows), "")
    data = writer.finish(labels, seed=1)
    path = tmp_path / "model.pt"
    torch.save(attention.random().state_dict(), path)
    with pytest.raises(CheckpointError, match=r"no .*head\.json.*--released"):
        evaluation.load(path, data, "test")
    subject = evaluation.load(path, data, "test", is_released=True)
    assert "90 % of Ekman-6" in subject.warnings[0]


def edited(change: Callable[[Description], Description], path: Path) -> None:
    described = description.read(path.with_name("head.json"))
    path.with_name("head.json").write_text(change(described).to_json())


def test_heads_that_do_not_fit_are_refused(data: store.Store, head: Path) -> None:
    edited(lambda d: replace(d, profile="paper"), head)
    with pytest.raises(ProfileMismatchError, match="profile paper"):
        evaluation.load(head, data, "test")
    widths = {**synthetic.WIDTHS, "face": 7}
    edited(lambda d: replace(d, profile="embedded", widths=widths), head)
    with pytest.raises(FeatureError, match="face 4, not 7"):
        evaluation.load(head, data, "test")
    edited(lambda d: replace(d, widths=synthetic.WIDTHS, width=24), head)
    with pytest.raises(CheckpointError, match="of another shape"):
        evaluation.load(head, data, "test")


def test_damaged_weights_and_an_empty_split_are_said(data: store.Store, tmp_path: Path) -> None:
    damaged = reading_head()
    with torch.no_grad():
        damaged.get_parameter("cls_mlp.0.bias").fill_(torch.nan)
    with pytest.raises(CheckpointError, match="damaged"):
        evaluation.evaluate(damaged, data)
    empty = synthetic.store(tmp_path / "store", 36)
    empty.splits = {name: part for name, part in empty.splits.items() if part != "test"}
    with pytest.raises(StoreError, match="no clip in its test split"):
        evaluation.evaluate(reading_head(), empty)
