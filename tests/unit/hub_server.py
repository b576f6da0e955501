"""A server on this machine that speaks enough of the Hugging Face hub's protocol to fetch from.

GET and HEAD of /owner/name/resolve/<revision>/<file>; large files are redirected to another host.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

COMMIT = "c0ffee" * 6 + "c0ff"
LARGE_BYTES = 1000
"""From here on a file is kept elsewhere, as with Git LFS, and known by its sha256."""


@dataclass
class State:
    """What the server has, what it does wrong, and what it was asked."""

    files: dict[str, bytes]
    refusals: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    """Method -> status and headers to answer with instead."""
    cuts: list[int] = field(default_factory=list)
    """Numbers of bytes after which to cut the next answers."""
    stall_after: int | None = None
    """Number of bytes after which to wait for `released`."""
    released: Event = field(default_factory=Event)
    spoilt: bool = False
    """Deliver other bytes than promised."""
    commit: str = COMMIT
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, host and headers of each."""
    address: str = ""

    def asked(self, header: str) -> list[str | None]:
        """Return the header of every GET, in order."""
        return [headers.get(header) for method, _, headers in self.requests if method == "GET"]


class Server(ThreadingHTTPServer):
    """Keeps the state where its handlers find it."""

    daemon_threads = True
    state: State


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        state = self.server.state
        host = self.headers["Host"].split(":")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        name = self.path.rsplit("/", 1)[-1]
        if name not in state.files:  # the client's curiosity about its surroundings
            self._send(404, {})
            return
        state.requests.append((self.command, host, headers))
        content = state.files[name]
        if self.command in state.refusals:
            self._send(*state.refusals[self.command])
        elif len(content) >= LARGE_BYTES and host == "127.0.0.1":
            elsewhere = f"http://localhost:{self.server.server_port}/elsewhere/{name}"
            self._send(302, self._described(content) | {"Location": elsewhere})
        else:
            self._deliver(content)

    def _described(self, content: bytes) -> dict[str, str]:
        commit = {"X-Repo-Commit": self.server.state.commit}
        if len(content) >= LARGE_BYTES:
            sha256 = hashlib.sha256(content).hexdigest()
            return commit | {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
        return commit | {"ETag": f'"{git_name(content)}"'}

    def _deliver(self, content: bytes) -> None:
        described = self._described(content)
        if self.server.state.spoilt:
            content = content.swapcase()
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        length = {"Content-Length": str(len(content) - start)}
        spread = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self._send(206 if start else 200, described | length | (spread if start else {}))
        if self.command == "GET":
            self._write(content[start:])

    def _write(self, content: bytes) -> None:
        state = self.server.state
        if state.cuts:
            self.wfile.write(content[: state.cuts.pop(0)])
            self.close_connection = True
        elif state.stall_after is not None:
            self.wfile.write(content[: state.stall_after])
            state.released.wait(30)
            self.close_connection = True
        else:
            self.wfile.write(content)

    def _send(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": "0"} | headers).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def git_name(content: bytes) -> str:
    """Return what git calls this content."""
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()


@contextmanager
def serve(state: State) -> Iterator[State]:
    """Serve until the end of the block."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.state = state
        state.address = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield state
        finally:
            state.released.set()
            server.shutdown()
            thread.join()
