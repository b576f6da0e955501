"""Reads the weights in CTranslate2's model.bin, for which CTranslate2 has no reader of its own."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

from export.errors import CheckpointError

VERSION = 6
TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)
"""By the number that stands for it in the file."""


def read(path: Path) -> dict[str, torch.Tensor]:
    """Return every variable by its name, "encoder/conv1/weight"; float16 as float32.

    Source: OpenNMT/CTranslate2, python/ctranslate2/specs/model_spec.py, `_serialize`, version 6.

    Raises:
        CheckpointError: it is damaged, or of another version of the format.
    """
    try:
        return _Reader(path.read_bytes()).variables()
    except (KeyError, ValueError, IndexError) as error:
        raise CheckpointError(
            f"{path} cannot be read as CTranslate2's model.bin of version {VERSION}: {error}"
        ) from error


class _Reader:
    """Reads the file's content from its beginning to its end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def variables(self) -> dict[str, torch.Tensor]:
        version = self._number("I")
        if version != VERSION:
            raise ValueError(f"it is of version {version}")
        self._text(), self._number("I")  # The network's name and its revision.
        found = {self._text(): self._array() for _ in range(self._number("I"))}
        # Of equal variables one is written, and the others' names with its name.
        equal = {self._text(): self._text() for _ in range(self._number("I"))}
        return found | {name: found[other] for name, other in equal.items()}

    def _array(self) -> torch.Tensor:
        shape = [self._number("I") for _ in range(self._number("B"))]
        kind = TYPES[self._number("B")]
        values = np.frombuffer(self._bytes(self._number("I")), kind).reshape(shape)
        return torch.from_numpy(values.astype(np.float32 if kind is np.float16 else kind))

    def _text(self) -> str:
        return self._bytes(self._number("H")).decode().rstrip("\0")

    def _number(self, kind: str) -> int:
        (value,) = struct.unpack(f"<{kind}", self._bytes(struct.calcsize(kind)))
        return int(value)

    def _bytes(self, count: int) -> bytes:
        found = self._content[self._place : self._place + count]
        if len(found) < count:
            raise ValueError("it ends too early")
        self._place += count
        return found
