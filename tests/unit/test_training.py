"""Training: what it learns, that it survives a kill, and what it leaves."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from export.errors import CheckpointError
from export.exporting import export_slot, kept_checkpoint, unchanged
from export.fusion import attention
from export.fusion.heads import ROWS
from export.options import Checkpoint, Options
from tests.unit import synthetic
from training import batches, checkpoint, store, trained, trainer
from training.__main__ import main
from training.errors import FeatureError, ProfileMismatchError, StoreError, TrainingError
from training.manifest import check_fits
from training.recipe import FAST, PAPER, Recipe
from training.train_command import LARGEST_SEED
from training.trainer import Training
from vemoclap_client.contract import FEATURES, LENGTHS, MODALITIES, PROBABILITIES

SMALL = replace(
    FAST,
    steps=600,
    evaluate_every=50,
    patience=600,
    learning_rate=2e-3,
    warm_up=30,
    dropout=0.0,
    width=64,
)
TINY = replace(SMALL, steps=12, evaluate_every=5, width=8, dropout=0.5, batch_size=8)


@pytest.fixture(scope="module")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> store.Store:
    return synthetic.store(tmp_path_factory.mktemp("store"), 48)


def test_the_head_learns_what_only_a_pair_of_modalities_tells(tmp_path: Path) -> None:
    data = synthetic.store(tmp_path / "store", 1500)
    subject = Training(data, tmp_path / "out", SMALL, device="cpu")

    def stop_when_learned(_: int) -> None:
        if subject.state.best and subject.state.best.accuracy == 1.0:
            subject.recipe = replace(SMALL, steps=subject.state.step)

    subject.run(stop_when_learned)
    subject.state.head.load_state_dict(subject.state.best_weights)
    held_out = batches.stack(data.samples("test"))
    accuracy, _ = trainer.evaluate(subject.state.head, held_out)
    assert len(held_out) >= 200
    assert accuracy >= 0.95


class KilledError(Exception):
    """Stands for a kill between two steps."""


@pytest.mark.parametrize("killed_after", [1, 4, 5, 7, 11])
def test_a_killed_training_ends_as_if_it_had_not_been(
    killed_after: int, small_store: store.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "SAVE_EVERY", 2)
    whole = Training(small_store, tmp_path / "whole", TINY, device="cpu")
    best = whole.run()

    def kill(step: int) -> None:
        if step == killed_after:
            raise KilledError

    with pytest.raises(KilledError):
        Training(small_store, tmp_path / "killed", TINY, device="cpu").run(kill)
    torch.rand(3)  # Whatever else draws random numbers changes nothing.
    resumed = Training(small_store, tmp_path / "killed", TINY, device="cpu")
    assert resumed.state.step == killed_after - killed_after % 2 or killed_after == 5
    assert resumed.run() == best
    for name, weights in whole.state.head.state_dict().items():
        assert torch.equal(weights, resumed.state.head.state_dict()[name]), name
    for name, weights in whole.state.best_weights.items():
        assert torch.equal(weights, resumed.state.best_weights[name]), name


def test_seeds_decide(small_store: store.Store, tmp_path: Path) -> None:
    first, same, other = (
        Training(small_store, tmp_path / str(index), TINY, seed, "cpu")
        for index, seed in enumerate((1, 1, 2))
    )
    for subject in (first, same, other):
        subject.run()
    weights = [s.state.head.state_dict()["cls_mlp.0.weight"] for s in (first, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_it_stops_when_it_gets_no_better(small_store: store.Store, tmp_path: Path) -> None:
    idle = replace(TINY, steps=100, patience=10, learning_rate=0.0)
    subject = Training(small_store, tmp_path, idle, device="cpu")
    subject.run()
    assert subject.state.step == 15, "first looked at after 5, and 10 steps more"


def test_it_logs_for_tensorboard(small_store: store.Store, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Training(small_store, tmp_path, TINY, device="cpu").run()
    events = EventAccumulator(str(tmp_path / trainer.LOGS)).Reload()
    assert set(events.Tags()["scalars"]) == {
        "loss/train",
        "loss/validation",
        "accuracy/validation",
        "learning_rate",
    }
    assert [event.step for event in events.Scalars("loss/validation")] == [5, 10, 12]


def test_ranges_come_from_the_training_split_alone(tmp_path: Path) -> None:
    data = synthetic.store(tmp_path / "store", 36)
    subject = Training(data, tmp_path / "out", TINY, device="cpu")
    rows = [sample.features["face"] for sample in data.samples("train")]
    stacked = np.concatenate(rows)
    assert subject.ranges["face"] == (stacked.min(), stacked.max())
    every = np.concatenate(
        [s.features["face"] for p in ("validation", "test") for s in data.samples(p)]
    )
    assert every.min() < stacked.min() or every.max() > stacked.max(), "the test needs an outlier"
    assert subject.ranges["text"] == (0.0, 1.0), "absent in all of them"


def test_no_test_clip_is_read(tmp_path: Path) -> None:
    data = synthetic.store(tmp_path / "store", 36)
    for name in data.ids("test"):
        (data.folder / store.CLIPS / data.manifest.clips[name]["file"]).unlink()
    Training(data, tmp_path / "out", TINY, device="cpu").run()


def test_the_papers_recipe_is_the_authors() -> None:
    assert (
        Recipe(
            "paper",
            steps=200_000,
            evaluate_every=5_000,
            patience=100_000,
            learning_rate=1e-5,
            warm_up=0,
            decays=False,
            weight_decay=0.0,
            batch_size=32,
            dropout=0.5,
            gradient_norm=1.0,
            heads=4,
            width=512,
        )
        == PAPER
    )
    assert {PAPER.learning_rate_at(step) for step in (0, 1, 100_000)} == {1e-5}


def test_the_fast_recipe_warms_up_and_decays() -> None:
    rates = [FAST.learning_rate_at(step) for step in range(FAST.steps)]
    peak = rates.index(max(rates))
    assert FAST.warm_up - 1 <= peak <= FAST.warm_up
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 1e-6


def test_each_epoch_takes_every_sample_once_in_an_order_of_its_own() -> None:
    epochs = [
        [batches.batch_indices(32, 8, 1, e * 4 + s).tolist() for s in range(4)] for e in (0, 1)
    ]
    taken = [[index for batch in epoch for index in batch] for epoch in epochs]
    assert sorted(taken[0]) == sorted(taken[1]) == list(range(32))
    assert taken[0] != taken[1]


@pytest.mark.parametrize("change", ["seed", "recipe", "manifest"])
def test_another_training_in_the_folder_is_refused(
    change: str, small_store: store.Store, tmp_path: Path
) -> None:
    Training(small_store, tmp_path / "out", TINY, device="cpu").run()
    other = synthetic.store(tmp_path / "other", 42) if change == "manifest" else small_store
    recipe = replace(TINY, heads=2) if change == "recipe" else TINY
    with pytest.raises(TrainingError, match=change):
        Training(other, tmp_path / "out", recipe, 2 if change == "seed" else 1, "cpu")


def test_a_damaged_checkpoint_is_said(small_store: store.Store, tmp_path: Path) -> None:
    (tmp_path / trainer.CHECKPOINT).write_bytes(b"PK nothing")
    with pytest.raises(TrainingError, match=r"training\.pt cannot be read"):
        Training(small_store, tmp_path, TINY, device="cpu")


def test_cuda_where_there_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="--device cpu"):
        trainer.choose_device("cuda")
    assert trainer.choose_device("auto").type == "cpu"


@pytest.fixture(scope="module")
def head(small_store: store.Store, tmp_path_factory: pytest.TempPathFactory) -> Training:
    folder = tmp_path_factory.mktemp("head")
    subject = Training(small_store, folder, TINY, device="cpu")
    subject.run()
    trained.write(folder, subject.state.best_weights, subject.describe())
    return subject


def test_the_head_is_exported_into_its_own_profile_and_names_itself(
    head: Training, small_store: store.Store, tmp_path: Path
) -> None:
    options = Options("embedded", weights=Checkpoint(head.folder / trained.WEIGHTS))
    slot = attention.choose(options)
    assert slot is not None
    export_slot(slot, tmp_path, options=options)
    session = onnxruntime.InferenceSession(tmp_path / "fusion" / "1" / "model.onnx")
    sample = small_store.samples("test")[0]
    inputs: dict[str, Any] = {
        LENGTHS: np.array([[len(sample.features[m]) for m in MODALITIES]], np.int32)
    }
    for modality in MODALITIES:
        rows = sample.features[modality]
        missing = ROWS[modality] - len(rows)
        inputs[FEATURES[modality]] = np.pad(rows, ((0, missing), (0, 0)))[None]
    probabilities, document = session.run([PROBABILITIES, "HEAD"], inputs)
    head.state.head.load_state_dict(head.state.best_weights)
    batch = batches.stack([sample])
    with torch.inference_mode():
        eager = head.state.head.eval()
        expected = eager.logits(eager.normalise(batch.rows, batch.lengths)).softmax(-1)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    said = json.loads(document[0, 0])
    assert (said["profile"], said["kind"]) == ("embedded", "attention")
    assert said["trained_on"] == (
        f"synthetic (manifest {small_store.sha256[:12]}, {checkpoint.today()})"
    )
    # What lies there is kept where no checkpoint is named.
    kept = kept_checkpoint(tmp_path / "fusion", "embedded")
    assert kept is not None
    again = Options("embedded", weights=Checkpoint(kept))
    same = attention.choose(again)
    assert same is not None
    assert unchanged(same, tmp_path, again) is not None


def test_features_of_one_profile_are_refused_by_a_head_of_another(
    head: Training, small_store: store.Store, tmp_path: Path
) -> None:
    options = Options("paper", weights=Checkpoint(head.folder / trained.WEIGHTS))
    with pytest.raises(CheckpointError, match="--profile embedded"):
        attention.choose(options)
    with pytest.raises(ProfileMismatchError, match="profile paper"):
        check_fits(small_store.manifest, "paper", attention.WIDTHS, "the authors' head")
    with pytest.raises(FeatureError, match="image 6, not 512"):
        check_fits(small_store.manifest, "embedded", attention.WIDTHS, "the head")


def test_a_head_without_its_description_is_refused(head: Training, tmp_path: Path) -> None:
    path = tmp_path / trained.WEIGHTS
    path.write_bytes((head.folder / trained.WEIGHTS).read_bytes())
    with pytest.raises(CheckpointError, match=r"head\.json"):
        attention.choose(Options("embedded", weights=Checkpoint(path)))
    (tmp_path / "head.json").write_text('{"kind": "attention"}')
    with pytest.raises(CheckpointError, match=r"head\.json"):
        attention.choose(Options("embedded", weights=Checkpoint(path)))


@pytest.mark.parametrize("command", ["train", "ekman6"])
@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("--width 510", "510 cannot be divided among 4 heads"),
        ("--heads 3", "512 cannot be divided among 3 heads"),
        ("--seed -1", "-1 is not between 0 and"),
        (f"--seed {2**32}", "is not between 0 and"),
    ],
)
def test_a_head_that_cannot_be_is_refused_before_any_work(
    command: str, choice: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The data is not there: it is not looked at."""
    with pytest.raises(SystemExit) as ended:
        main([command, str(tmp_path / "none"), "--out", str(tmp_path / "out"), *choice.split()])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_largest_seed_trains(small_store: store.Store, tmp_path: Path) -> None:
    Training(small_store, tmp_path, replace(TINY, steps=1), LARGEST_SEED, "cpu").run()


def test_a_batch_without_pyarrow_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "part-00001.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "training.parquet", raising=False)
    command = ["train", str(tmp_path), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main(command) == StoreError.exit_code
    said = capsys.readouterr().err
    assert f"{sys.executable} -m pip install --editable './client[batch]'" in said


def test_the_command_trains_on_a_store_and_goes_on(
    small_store: store.Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(small_store.folder), "--out", str(tmp_path)]
    choices = ["--steps", "3", "--width", "8", "--device", "cpu"]
    assert main([*command, *choices]) == 0
    said = capsys.readouterr().out
    assert "train" in said
    assert "trained on synthetic (manifest" in said
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"head.pt", "head.json", "training.pt", "logs"}
    before = (tmp_path / "head.json").read_bytes()
    assert main([*command, *choices]) == 0
    assert "going on after step 3" in capsys.readouterr().out
    assert (tmp_path / "head.json").read_bytes() == before
    assert main([*command, *choices, "--seed", "2"]) == TrainingError.exit_code
    assert "its seed differs" in capsys.readouterr().err
