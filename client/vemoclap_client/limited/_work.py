"""One decoder at work, as the process that wants its messages sees it."""

import logging
import os
import signal
import socket
import time
from collections.abc import Generator
from pathlib import Path
from threading import Event as Flag
from typing import Any

import msgspec

from vemoclap_client import errors
from vemoclap_client._waiting import POLL_INTERVAL_S, check
from vemoclap_client.errors import DecodingLimitError, UndecodableVideoError, VideoError
from vemoclap_client.limited._messages import (
    End,
    Ended,
    Failure,
    MessageError,
    Notice,
    Request,
    read_message,
)

LOG = logging.getLogger("vemoclap_client.limited")
ENDED_MAX_BYTES = 1 << 10
END_TIMEOUT_S = 10.0
"""Longest wait for how a decoder ended whose messages have ended."""


class _MessagesEndedError(Exception):
    """The decoder ended before its last message."""


class DecodingFaultError(Exception):
    """Decoding failed in a way that is a fault of this program; the text is the traceback."""


class Work:
    """One decoder at work. Close it: that ends the decoder."""

    def __init__(
        self,
        request: Request,
        messages: socket.socket,
        watch: socket.socket,
        cancel: Flag | None,
    ) -> None:
        """Takes what the server of decoders was given the other ends of."""
        self.ended: Ended | None = None
        """How it ended, where it had to be asked for."""
        self._path = Path(os.fsdecode(request.paths[0]))
        self._limits = request.limits
        self._messages = messages
        self._watch = watch
        self._cancel = cancel
        self._waited_s = 0.0
        messages.settimeout(POLL_INTERVAL_S)
        watch.settimeout(END_TIMEOUT_S)

    def close(self) -> None:
        """Ends the decoder, if it is still at work."""
        self._watch.close()
        self._messages.close()

    def results(self) -> Generator[Any]:
        """The results, one after the other as they come.

        Raises:
            VideoError: of the file; DecodingLimitError where it needs more than is allowed.
            CancelledError: `cancel` was set.
            DecodingFaultError: this program failed.
        """
        try:
            while not isinstance(message := read_message(self._fill), End):
                if isinstance(message, Failure):
                    raise self._error(message)
                if isinstance(message, Notice):
                    LOG.warning(
                        "%s is decoded without a lock: the decoder could open files and "
                        "connections. %s",
                        self._path,
                        message.text,
                    )
                else:
                    yield message
        except (_MessagesEndedError, MessageError) as error:
            raise self._early_end() from error

    def end(self) -> Ended | None:
        """Waits until the decoder has ended; how it did, or None where nobody knows."""
        if self.ended is None:
            try:
                report = self._watch.recv(ENDED_MAX_BYTES)
                self.ended = msgspec.msgpack.decode(report, type=Ended)
            except (OSError, msgspec.DecodeError):
                return None
        return self.ended

    def _fill(self, buffer: memoryview) -> None:
        while buffer:
            started = time.monotonic()
            check(self._cancel)
            try:
                received = self._messages.recv_into(buffer)
            except TimeoutError:
                received = -1
            except ConnectionError:
                received = 0
            self._waited_s += time.monotonic() - started
            if received == 0:
                raise _MessagesEndedError
            if self._waited_s > self._limits.wait_s:
                raise self._limits.over_wait(self._path)
            if received > 0:
                buffer = buffer[received:]

    def _error(self, failure: Failure) -> Exception:
        kind = getattr(errors, failure.kind, None)
        text = os.fsdecode(failure.text)
        if isinstance(kind, type) and issubclass(kind, VideoError):
            return kind(text)
        return DecodingFaultError(f"{self._path}: decoding failed\n{text}")

    def _early_end(self) -> VideoError:
        """The error of a decoder that ended before its last message, or sent a wrong one."""
        self._messages.close()
        ended = self.end()
        if ended is None or not os.WIFSIGNALED(ended.status):
            return UndecodableVideoError(
                f"{self._path}: the process that decodes the file ended. Try again."
            )
        number = os.WTERMSIG(ended.status)
        if number == signal.SIGXCPU:
            return self._limits.over_processor_time(self._path)
        if number == signal.SIGKILL:
            return DecodingLimitError(
                f"{self._path}: the system ended the process that decodes the file; the machine "
                "probably has too little memory. Try again, or give a smaller file."
            )
        name = signal.Signals(number).name
        LOG.error("%s: decoding it crashed (%s)", self._path, name)
        return UndecodableVideoError(
            f"{self._path}: decoding the file crashed ({name}). It is damaged or made to do that: "
            "get it again, or convert it, for example to MP4 with H.264."
        )
