"""Reads an open file for FFmpeg."""

from __future__ import annotations

import io
from os import SEEK_CUR, SEEK_END, SEEK_SET, fstat, pread


class FileReader(io.RawIOBase):
    """An open file from its start, with a position of its own.

    PyAV's read function calls it, so `read` raises no MemoryError. PyAV keeps such an error and,
    at the second, prints the first; where there is no memory for printing, the function returns 0,
    which FFmpeg takes for "nothing yet": its Matroska demuxer then reads for ever.

    PyAV does not catch what a signal raises: a Ctrl-C during a call of `read` or `seek` is lost,
    and FFmpeg gets a wrong answer. Python raises it in the main thread alone, so `decode` and
    `decode_parts` read in another.

    Attributes:
        lacked_memory: whether there was no memory to read into. The file ends there for FFmpeg.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        """Reads nothing yet; `name` is what FFmpeg calls the file."""
        self._descriptor = descriptor
        self._position = 0
        self.name = name
        self.lacked_memory = False

    def readable(self) -> bool:
        """As RawIOBase."""
        return True

    def seekable(self) -> bool:
        """As RawIOBase."""
        return True

    def tell(self) -> int:
        """As RawIOBase."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """As RawIOBase, but for memory: see above."""
        if self.lacked_memory:
            return b""
        try:
            data = pread(self._descriptor, size, self._position)
        except MemoryError:
            self.lacked_memory = True
            return b""
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """As RawIOBase."""
        size = fstat(self._descriptor).st_size
        start = {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: size}[whence]
        self._position = start + offset
        return self._position
