"""Reads a pickle of tensors, arrays and plain containers, and refuses every other.

A pickle is a program: loading one from elsewhere runs what its author put in. Here each name that
it asks for is looked up in a list of a few harmless ones, written out below.

Source: Python's documentation of pickle, "Restricting Globals".
"""

from __future__ import annotations

import collections
import io
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.errors import StoreError, UnsafeFileError


def read(path: Path) -> Any:
    """Return a pickle's content, with every tensor on the processor.

    Raises:
        UnsafeFileError: it asks for anything but tensors, arrays and plain containers.
        StoreError: it is missing or damaged.
    """
    try:
        if zipfile.is_zipfile(path):  # what torch.save writes
            return _load_tensors(path.read_bytes(), path)
        with path.open("rb") as file:
            return _Unpickler(file, path).load()
    except UnsafeFileError:
        raise
    except Exception as error:
        raise StoreError(f"{path} cannot be read as a pickle of features: {error!r}") from error


class _Unpickler(pickle.Unpickler):
    """Knows the names in ALLOWED and no other."""

    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file)
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for, or refuse it."""
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return lambda content: _load_tensors(content, self.path)
        # numpy 2 has moved its internals from numpy.core to numpy._core.
        key = (module.replace("numpy._core", "numpy.core"), name)
        if key not in ALLOWED:
            raise UnsafeFileError(
                f"{self.path} asks for {module}.{name}: loading it could run code. Only tensors, "
                "arrays and plain containers are read. Where is the file from?"
            )
        return ALLOWED[key]

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to elsewhere."""
        raise UnsafeFileError(f"{self.path} refers to content outside itself")


def _load_tensors(content: bytes, path: Path) -> Any:
    """What torch.save wrote; torch.storage._load_from_bytes would load it without any check."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of a pickle protocol that it may not know
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise UnsafeFileError(
            f"{path} holds more than tensors and plain containers: {reason}"
        ) from error


def _array(subtype: type, shape: tuple[int, ...], kind: bytes) -> Any:
    """An empty array, which the pickle then fills."""
    return np.ndarray(shape, np.dtype(np.int8))


def _array_from_buffer(buffer: Any, dtype: Any, shape: Any, order: str, *_: Any) -> Any:
    """An array of numbers from its bytes (pickle protocol 5)."""
    return np.frombuffer(buffer, _numbers(dtype)).reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: Any, content: bytes) -> Any:
    """A number of numpy's."""
    return np.frombuffer(content, _numbers(dtype), count=1)[0]


def _numbers(dtype: Any) -> Any:
    if np.dtype(dtype).hasobject:
        raise UnsafeFileError("an array of Python objects, where numbers are expected")
    return dtype


ALLOWED: dict[tuple[str, str], Callable[..., Any] | type] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _array_from_buffer,
    # Protocols 0 to 2 write bytes as a text and its encoding.
    ("_codecs", "encode"): lambda text, encoding="latin1": text.encode("latin1"),
}
