"""Loads a state dict into a network, and names what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from export.errors import CheckpointError

MOST_NAMED = 8


def load_state(
    network: nn.Module, state: Mapping[str, torch.Tensor], origin: Path | str
) -> nn.Module:
    """Load `state` into `network`, all of it and nothing else; return the network.

    Args:
        network: the architecture.
        state: name -> weights.
        origin: the file they come from, for the message.

    Raises:
        CheckpointError: names the missing keys, the unexpected ones, and those of another shape.
    """
    wanted = network.state_dict()
    problems = [
        _named("missing", [key for key in wanted if key not in state]),
        _named("unexpected", [key for key in state if key not in wanted]),
        _named(
            "of another shape",
            [
                f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
                for key, value in wanted.items()
                if key in state and state[key].shape != value.shape
            ],
        ),
    ]
    if found := [problem for problem in problems if problem]:
        raise CheckpointError(
            f"{origin} does not fit {type(network).__name__}: {'; '.join(found)}. "
            "Is it the checkpoint of another model?"
        )
    network.load_state_dict(state)
    return network


def _named(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
    return f"{len(keys)} keys {what}: {', '.join(keys[:MOST_NAMED])}{more}"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a file that torch.save or safetensors wrote, without running code that it may hold.

    Raises:
        CheckpointError: it is missing or damaged, or holds more than weights.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: {reason}. It must be a file of weights that "
            "torch.save or safetensors wrote."
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a state dict.")
    return content
