"""A web server on this machine with links that are good, broken or hostile."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.clips import Tone, write_clip, write_sound
from vemoclap_client import errors
from vemoclap_client.fetch import FetchLimits, fetch

HERE = FetchLimits(allow_private=True)
BLOCK = bytes(64 * 1024)
LONGEST_STALL_S = 60.0

PLAYLIST = """#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:2
#EXTINF:1,
part.ts
#EXTINF:1,
part.ts
"""
APART = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sounds",NAME="one",DEFAULT=YES,URI="sound.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=100000,RESOLUTION=96x64,CODECS="avc1.42e00a,mp4a.40.2",AUDIO="sounds"
pictures.m3u8
"""
END = "#EXT-X-ENDLIST\n"

File = tuple[str, bytes]
"""Content type and content."""


@dataclass
class Site:
    """What is where, and what was asked for."""

    files: Mapping[str, File]
    """By name."""
    address: str = ""
    port: int = 0
    released: Event = field(default_factory=Event)
    """Lets what is stalled go on."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Authorization header of each request."""


class Server(ThreadingHTTPServer):
    """Keeps the site where its handlers find it."""

    daemon_threads = True
    site: Site

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: that clients go away in the middle is what is tested."""


class Handler(BaseHTTPRequestHandler):
    """Answers /<name of a file>, /redirect?to=, /endless.mp4, /huge.mp4, /stalled.mp4, /loop."""

    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.server.site.asked.append((self.path, self.headers.get("Authorization", "")))
        special: dict[str, Callable[[], None]] = {
            "/redirect": lambda: self._redirect(parse_qs(parts.query)["to"][0]),
            "/loop": lambda: self._redirect(f"{self.path}x"),
            "/endless.mp4": self._endless,
            "/endless.html": self._endless_page,
            "/huge.mp4": lambda: self._begin("video/mp4", {"Content-Length": str(10**12)}),
            "/stalled.mp4": self._stall,
        }
        if parts.path.startswith("/loop"):
            special["/loop"]()
        elif parts.path in special:
            special[parts.path]()
        else:
            self._file(parts.path[1:])

    def do_HEAD(self) -> None:
        self.send_error(405)

    def _file(self, name: str) -> None:
        if name not in self.server.site.files:
            self.send_error(404)
            return
        kind, content = self.server.site.files[name]
        self._begin(kind, {"Content-Length": str(len(content))})
        self.wfile.write(content)

    def _redirect(self, to: str) -> None:
        self.send_response(302)
        self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _endless(self) -> None:
        self._begin("video/mp4", {})
        while True:  # Until the client goes away.
            self.wfile.write(BLOCK)

    def _endless_page(self) -> None:
        self._begin("text/html", {})
        self.wfile.write(b"<html><body>")
        while True:
            self.wfile.write(BLOCK)

    def _stall(self) -> None:
        self._begin("video/mp4", {"Content-Length": "1000000"})
        self.wfile.write(b"x" * 5000)
        self.server.site.released.wait(LONGEST_STALL_S)

    def _begin(self, kind: str, headers: Mapping[str, str]) -> None:
        self.send_response(200)
        for name, value in ({"Content-Type": kind} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve(files: Mapping[str, File], host: str = "127.0.0.1") -> Iterator[Site]:
    """Serves until the end of the block."""
    with Server((host, 0), Handler) as server:
        port = server.server_port
        server.site = Site(files, address=f"http://127.0.0.1:{port}", port=port)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.site
        finally:
            server.site.released.set()
            server.shutdown()
            thread.join()


def films(folder: Path) -> dict[str, File]:
    """Pages and files around one clip, which is made in the folder."""
    clip = write_clip(folder / "clip.mp4", seconds=3, sound=Tone()).read_bytes()
    part = write_clip(folder / "part.ts", seconds=1, sound=Tone(seconds=1)).read_bytes()
    pictures = write_clip(folder / "pictures.ts", seconds=2).read_bytes()
    sound = write_sound(folder / "sound.ts", Tone(seconds=2)).read_bytes()
    whole = PLAYLIST + END
    once = whole.replace("#EXTINF:1,\npart.ts\n", "", 1)
    return {
        "apart.m3u8": ("application/x-mpegurl", APART.encode()),
        "pictures.m3u8": ("application/x-mpegurl", once.replace("part", "pictures").encode()),
        "sound.m3u8": ("application/x-mpegurl", once.replace("part", "sound").encode()),
        "pictures.ts": ("video/mp2t", pictures),
        "sound.ts": ("video/mp2t", sound),
        "clip.mp4": ("video/mp4", clip),
        "untyped": ("application/octet-stream", clip),
        "part.ts": ("video/mp2t", part),
        "list.m3u8": ("application/x-mpegurl", whole.encode()),
        "live.m3u8": ("application/x-mpegurl", PLAYLIST.encode()),
        "none.html": ("text/html", b"<html><title>Nothing</title><p>No film here.</p></html>"),
        "one.html": ("text/html", b"<html><title>A film</title><video src='clip.mp4'></video>"),
        "two.html": (
            "text/html",
            b"<html><title>Films</title><video src='clip.mp4'></video><video src='b.mp4'></video>",
        ),
        "text.txt": ("text/plain", b"words, words, words"),
        "false.mp4": ("video/mp4", b"words, words, words"),
    }


def fetch_error(url: str, folder: Path, limits: FetchLimits = HERE) -> errors.FetchError:
    """What the download fails with; nothing of it is left in the folder."""
    with pytest.raises(errors.FetchError) as caught, fetch(url, limits, folder=folder):
        pass
    assert list(folder.iterdir()) == []
    return caught.value
