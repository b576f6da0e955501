"""How a head is trained: the authors' settings, and faster ones."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Settings of a training.

    Args:
        name: of the recipe.
        steps: updates at most.
        evaluate_every: steps from one look at the validation split to the next.
        patience: steps without a better validation accuracy after which it ends.
        learning_rate: the highest.
        warm_up: steps until that is reached, from zero.
        decays: whether the rate falls from there to zero at the last step, along a cosine.
        weight_decay: as AdamW's; 0 is Adam.
        batch_size: clips in an update.
        dropout: share of the numbers that is left out.
        gradient_norm: longest gradient.
        heads: of each attention.
        width: of what is attended to.
    """

    name: str
    steps: int
    evaluate_every: int
    patience: int
    learning_rate: float
    warm_up: int = 0
    decays: bool = False
    weight_decay: float = 0.0
    batch_size: int = 32
    dropout: float = 0.5
    gradient_norm: float = 1.0
    heads: int = 4
    width: int = 512

    def learning_rate_at(self, step: int) -> float:
        """Return the rate of an update, counted from 0."""
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        if not self.decays:
            return self.learning_rate
        passed = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.learning_rate * (1 + math.cos(math.pi * passed)) / 2


PAPER = Recipe("paper", steps=200_000, evaluate_every=5_000, patience=100_000, learning_rate=1e-5)
"""Source: the settings that the authors release; see docs/training.md."""

FAST = Recipe(
    "fast",
    steps=4_000,
    evaluate_every=100,
    patience=1_500,
    learning_rate=1e-3,
    warm_up=200,
    decays=True,
    weight_decay=0.01,
    dropout=0.2,
)

RECIPES = {recipe.name: recipe for recipe in (FAST, PAPER)}
