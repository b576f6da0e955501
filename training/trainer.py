"""Trains the cross-attention head on a feature store, and goes on after a kill as if none had been.

Everything random in a step follows from the seed and the step's number. What a checkpoint holds
(weights, optimiser, scaler, step, best weights) therefore decides all that comes after it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

from export.fusion.attention_head import AttentionHead
from export.fusion.description import Description
from training import batches, checkpoint
from training.batches import Tensors
from training.errors import TrainingError
from training.progress import progress_bar
from training.recipe import Recipe
from training.splits import TRAIN, VALIDATION
from training.store import Store

CHECKPOINT = "training.pt"
CHECKPOINT_FORMAT = 2
"""Of what State.to_dict returns."""
LOGS = "logs"
SAVE_EVERY = 500
"""Steps after which a checkpoint is written, besides at every evaluation."""


@dataclass(frozen=True)
class Score:
    """How good a head is on the validation split."""

    accuracy: float
    loss: float
    step: int

    def is_better_than(self, other: Score | None) -> bool:
        """More right; if as many, then surer of them."""
        return other is None or (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


@dataclass
class State:
    """Everything that changes in a training."""

    head: AttentionHead
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    best: Score | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    improved_at: int = 0
    """The step of the highest validation accuracy so far."""

    def to_dict(self) -> dict[str, Any]:
        """The content of a checkpoint."""
        return {
            "step": self.step,
            "improved_at": self.improved_at,
            "head": self.head.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "best": asdict(self.best) if self.best else None,
            "best_weights": self.best_weights,
        }

    def load(self, content: dict[str, Any]) -> None:
        """Go back to a checkpoint."""
        self.step, self.improved_at = content["step"], content["improved_at"]
        self.head.load_state_dict(content["head"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.scaler.load_state_dict(content["scaler"])
        self.best = Score(**content["best"]) if content["best"] else None
        self.best_weights = content["best_weights"]


class Training:
    """A training of one head on one store."""

    def __init__(
        self, store: Store, folder: Path, recipe: Recipe, seed: int = 1, device: str = "auto"
    ) -> None:
        """Load the data, and go back to the folder's checkpoint if there is one.

        Args:
            store: where the samples come from; of its test split nothing is read.
            folder: for the checkpoint, the logs and the result.
            recipe: the settings.
            seed: of the first weights, the order of the samples and the dropout.
            device: "cpu", "cuda", or "auto" for CUDA where there is one.

        Raises:
            TrainingError: the folder holds another training, or there is no such device.
            FeatureError: a clip's features cannot be trained on.
        """
        self.store, self.folder, self.recipe, self.seed = store, folder, recipe, seed
        self.device = choose_device(device)
        samples = store.samples(TRAIN)
        self.ranges = batches.ranges_of(samples)
        self.data = batches.stack(samples).to(self.device)
        self.validation = batches.stack(store.samples(VALIDATION)).to(self.device)
        self.state = self._begin()
        self.identity = {
            "format": CHECKPOINT_FORMAT,
            "manifest": store.sha256,
            "recipe": asdict(recipe),
            "seed": seed,
            "device": self.device.type,
        }
        earlier = checkpoint.read(folder / CHECKPOINT, self.identity)
        self.started = earlier["started"] if earlier else checkpoint.today()
        if earlier:
            self.state.load(earlier["state"])

    def run(self, after_step: Callable[[int], None] = lambda step: None) -> Score:
        """Train to the end, and return the best head's score.

        Args:
            after_step: told the number of each step that was taken.
        """
        first = self.state.step
        logs = SummaryWriter(str(self.folder / LOGS), purge_step=first)
        bar = progress_bar(self.recipe.steps, first, "step", self.recipe.name)
        try:
            while not self._is_over():
                loss = self._step()
                bar.update()
                self._evaluate_and_save(loss, logs, bar)
                after_step(self.state.step)
        finally:
            bar.close()
            logs.close()
        assert self.state.best is not None
        return self.state.best

    def describe(self) -> Description:
        """Return the best head's description."""
        manifest = self.store.manifest
        best = self.state.best
        assert best is not None
        short = self.store.sha256[:12]
        return Description(
            profile=manifest.profile,
            widths=dict(manifest.widths),
            ranges=self.ranges,
            trained_on=f"{manifest.name} (manifest {short}, {self.started})",
            heads=self.recipe.heads,
            width=self.recipe.width,
            training={
                "data": manifest.name,
                "manifest_sha256": self.store.sha256,
                "slots": dict(manifest.slots),
                "date": self.started,
                "clips": {"train": len(self.data), "validation": len(self.validation)},
                "seed": self.seed,
                "recipe": asdict(self.recipe),
                "validation": asdict(best),
            },
        )

    def _begin(self) -> State:
        """The head as it is before the first step: the same for the same seed."""
        recipe, widths = self.recipe, self.store.manifest.widths
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            head = AttentionHead(widths, self.ranges, recipe.heads, recipe.width, recipe.dropout)
        head.to(self.device)
        optimiser = torch.optim.AdamW(
            head.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.device.type == "cuda")
        return State(head, optimiser, scaler)

    def _is_over(self) -> bool:
        waited = self.state.step - self.state.improved_at
        return self.state.step >= self.recipe.steps or waited >= self.recipe.patience

    def _step(self) -> Tensor:
        """Take one update, and return its loss."""
        state, recipe = self.state, self.recipe
        indices = batches.batch_indices(len(self.data), recipe.batch_size, self.seed, state.step)
        batch = self.data.take(indices.to(self.device))
        for group in state.optimiser.param_groups:
            group["lr"] = recipe.learning_rate_at(state.step)
        state.optimiser.zero_grad(set_to_none=True)
        # The dropout of a step, too, follows from its number.
        with torch.random.fork_rng(devices=_devices(self.device)):
            torch.manual_seed(self.seed * 1_000_003 + state.step)
            loss = _loss(state.head.train(), batch)
        state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        state.scaler.unscale_(state.optimiser)
        torch.nn.utils.clip_grad_norm_(state.head.parameters(), recipe.gradient_norm)
        state.scaler.step(state.optimiser)
        state.scaler.update()
        state.step += 1
        return loss.detach()

    def _evaluate_and_save(self, loss: Tensor, logs: SummaryWriter, bar: Any) -> None:
        """Evaluate, log and save, at the steps at which that is due."""
        step, recipe = self.state.step, self.recipe
        is_due = step % recipe.evaluate_every == 0 or step == recipe.steps
        if is_due:
            score = self._evaluate()
            logs.add_scalar("loss/train", loss.item(), step)
            logs.add_scalar("loss/validation", score.loss, step)
            logs.add_scalar("accuracy/validation", score.accuracy, step)
            logs.add_scalar("learning_rate", recipe.learning_rate_at(step - 1), step)
            bar.set_postfix(validation=f"{score.accuracy:.3f}")
        if is_due or step % SAVE_EVERY == 0:
            content = {"started": self.started, "state": self.state.to_dict()}
            checkpoint.write(self.folder / CHECKPOINT, self.identity, content)

    def _evaluate(self) -> Score:
        """Score the head, and keep its weights if it is the best so far."""
        state = self.state
        accuracy, loss = evaluate(state.head, self.validation)
        score = Score(accuracy, loss, state.step)
        if state.best is None or accuracy > state.best.accuracy:
            state.improved_at = state.step
        if score.is_better_than(state.best):
            state.best = score
            state.best_weights = copy.deepcopy(state.head.state_dict())
        return score


def choose_device(name: str) -> torch.device:
    """Return the device of this name.

    Raises:
        TrainingError: there is none.
    """
    has_cuda = torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        raise TrainingError(
            "there is no CUDA device here, or this torch is the build for processors, as in .venv "
            "(.venv-development has the other): train with --device cpu"
        )
    if name == "auto":
        name = "cuda" if has_cuda else "cpu"
    return torch.device(name)


def evaluate(head: AttentionHead, data: Tensors) -> tuple[float, float]:
    """Return accuracy and mean cross-entropy, in float32."""
    scores = batches.logits(head.eval(), data)
    right = int((scores.argmax(dim=1) == data.labels).sum())
    return right / len(data), float(functional.cross_entropy(scores, data.labels))


def _loss(head: AttentionHead, batch: Tensors) -> Tensor:
    """Mean cross-entropy; in mixed precision on CUDA."""
    normalised = head.normalise(batch.rows, batch.lengths)
    device = batch.labels.device.type
    with torch.autocast(device, torch.float16, enabled=device == "cuda"):
        scores = head.logits(normalised)
    return functional.cross_entropy(scores.float(), batch.labels)


def _devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
