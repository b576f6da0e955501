"""Reads checkpoints and their settings, loads them into networks, and names what does not fit."""

from __future__ import annotations

import json
import pickle
import re
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
        _named("unexpected", [str(key) for key in state if key not in wanted]),
        _named(
            "of another shape",
            [
                f"{key} {_shape(state[key])} instead of {_shape(value)}"
                for key, value in wanted.items()
                if key in state and _shape(state[key]) != _shape(value)
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


def _shape(value: object) -> tuple[int, ...] | str:
    """Return a tensor's sizes, or what else it is."""
    return tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__


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
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: {_reason(error)}. It must be a file of "
            "weights that torch.save or safetensors wrote."
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a state dict.")
    return {str(key): value for key, value in content.items()}


def _reason(error: Exception) -> str:
    """Return torch's reason, but not its advice to let the file run its code."""
    if isinstance(error, pickle.UnpicklingError):
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        return f"it holds code, {code[1]}" if code else "it is damaged, or no such file"
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


def read_settings(path: Path) -> dict[str, Any]:
    """Return the content of a model's config.json.

    Raises:
        CheckpointError: it is no JSON object.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not a model's config.json: {error}") from error
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path} holds a {type(settings).__name__}, not a model's settings.")
    return settings


def companions(checkpoint: Path, *names: str) -> list[Path]:
    """Return the files of these names beside a checkpoint.

    Raises:
        CheckpointError: one is not there.
    """
    paths = [checkpoint.with_name(name) for name in names]
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise CheckpointError(
            f"{checkpoint} needs {', '.join(missing)}: not found. Put the files of the "
            "checkpoint's own repository beside it."
        )
    return paths
