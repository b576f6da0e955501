"""The process from which decoders are forked: `python -m vemoclap_client.limited._server FD`.

It has imported what they need, knows nothing else and opens no file. Its standard channel is a
socket on which each message is a Request with two descriptors: where the decoder writes its
messages, and where this process says how it ended. If the other end of the second is closed, the
decoder is killed. The process ends when the socket's other end is closed.
"""

import os
import pkgutil
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import av
import msgspec

from vemoclap_client.errors import VideoError
from vemoclap_client.limited._messages import End, Ended, Failure, Notice, Request, write_message
from vemoclap_client.limited._seal import die_with, limit, load, seal
from vemoclap_client.limited._tasks import TASKS

REQUEST_MAX_BYTES = 1 << 16
KIB = 1024


class Server:
    """Forks a decoder for each request."""

    def __init__(self, control: socket.socket) -> None:
        """Nothing is forked before `serve`."""
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._take)

    def serve(self) -> None:
        """Serves until nobody can ask any more; decoders at work end with this process."""
        while True:
            # One at a time: it may end what another one is about, which comes again otherwise.
            key, _ = self._selector.select()[0]
            key.data()

    def _take(self) -> None:
        request, descriptors, _, _ = socket.recv_fds(self._control, REQUEST_MAX_BYTES, 2)
        if not request:
            sys.exit()
        output, watch = descriptors
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(watch)
            # What belongs to this process and to other decoders.
            for key in list(self._selector.get_map().values()):
                os.close(key.fd)
            _decode(msgspec.msgpack.decode(request, type=Request), output, server)
        os.close(output)
        self._watch(pid, socket.socket(fileno=watch))

    def _watch(self, pid: int, watch: socket.socket) -> None:
        """Says how a decoder ended, or ends it once nobody wants to know."""
        ended = os.pidfd_open(pid)

        def on_end() -> None:
            self._selector.unregister(ended)
            os.close(ended)
            _, status, usage = os.wait4(pid, 0)
            if watch in self._selector.get_map():
                self._selector.unregister(watch)
            seconds = round(usage.ru_utime + usage.ru_stime, 3)
            report = Ended(status, seconds, usage.ru_maxrss * KIB)
            with watch, suppress(OSError):  # Nobody wants to know.
                watch.send(msgspec.msgpack.encode(report))

        def on_gone() -> None:
            self._selector.unregister(watch)
            os.kill(pid, signal.SIGKILL)

        self._selector.register(ended, selectors.EVENT_READ, on_end)
        self._selector.register(watch, selectors.EVENT_READ, on_gone)


def _decode(request: Request, output: int, server: int) -> NoReturn:
    """Does a request, in a process of its own, which ends with it."""

    def end(lost: "sys.UnraisableHookArgs") -> None:
        # It came up where FFmpeg calls Python: FFmpeg does not know of it and may go on for ever.
        write_message(output, _failure(request, lost.exc_value or RuntimeError(lost.err_msg)))
        os._exit(0)

    try:
        sys.unraisablehook = end
        die_with(server)
        limit(request.limits, request.written_bytes)
        os.chdir(os.fsdecode(request.folder))
        for message in _messages(request, output):
            write_message(output, message)
    except BrokenPipeError:
        pass  # Nobody reads on.
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _messages(request: Request, output: int) -> Iterator[object]:
    def shut_in() -> None:
        try:
            seal()
        except OSError as error:
            write_message(output, Notice(str(error)))

    paths = [Path(os.fsdecode(path)) for path in request.paths]
    try:
        yield from TASKS[request.task](shut_in, *paths, **request.arguments)
        yield End()
    except Exception as error:
        yield _failure(request, error)


def _failure(request: Request, error: BaseException) -> Failure:
    if isinstance(error, MemoryError):
        error = request.limits.over_memory(Path(os.fsdecode(request.paths[0])))
    if isinstance(error, VideoError):
        return Failure(type(error).__name__, os.fsencode(str(error)))
    return Failure("", "".join(traceback.format_exception(error)).encode(errors="backslashreplace"))


def import_all(package: ModuleType) -> None:
    """Imports what a package would import only when it is used: a decoder can open no module."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


if __name__ == "__main__":
    import_all(av)
    with suppress(OSError):  # Each decoder says so.
        load()
    Server(socket.socket(fileno=int(sys.argv[1]))).serve()
