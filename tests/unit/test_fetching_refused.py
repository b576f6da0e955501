"""Links that are refused: where they lead to, what they are, what is there."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.link_server import HERE, Site, fetch_error, serve
from vemoclap_client import errors
from vemoclap_client.fetch import FetchLimits, FetchProgress, fetch
from vemoclap_client.fetch.download import WORKER


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0.0.0.0",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "8.8.8.8:80@127.0.0.1",
    ],
)
def test_this_computer_is_refused_however_it_is_spelt(
    host: str, site: Site, tmp_path: Path
) -> None:
    before = len(site.asked)
    error = fetch_error(f"http://{host}:{site.port}/clip.mp4", tmp_path, FetchLimits())
    assert isinstance(error, errors.AddressRefusedError)
    assert "--allow-private" in str(error)
    assert len(site.asked) == before


def test_a_redirect_to_a_refused_address_is_not_followed(site: Site, tmp_path: Path) -> None:
    limits = FetchLimits(networks=("127.0.0.1/32",))
    with serve(site.files, "127.0.0.2") as inner:
        url = f"{site.address}/redirect?to=http://127.0.0.2:{inner.port}/clip.mp4"
        error = fetch_error(url, tmp_path, limits)
        assert isinstance(error, errors.AddressRefusedError)
        assert "127.0.0.2" in str(error)
        assert inner.asked == []
        with fetch(url, replace(limits, networks=("127.0.0.0/8",)), folder=tmp_path):
            assert inner.asked


def test_a_page_s_video_at_a_refused_address_is_not_asked_for(tmp_path: Path) -> None:
    with serve({"clip.mp4": ("video/mp4", b"")}, "127.0.0.2") as inner:
        page = f"<html><video src='http://127.0.0.2:{inner.port}/clip.mp4'></video>".encode()
        with serve({"page.html": ("text/html", page)}) as outer:
            limits = FetchLimits(networks=("127.0.0.1/32",))
            error = fetch_error(f"{outer.address}/page.html", tmp_path, limits)
        assert isinstance(error, errors.AddressRefusedError)
        assert inner.asked == []


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/clip.mp4"])
def test_a_redirect_to_another_protocol_is_not_followed(
    to: str, site: Site, tmp_path: Path
) -> None:
    fetch_error(f"{site.address}/redirect?to={to}", tmp_path)


def test_no_proxy_is_asked(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve({}) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.address)
        with fetch(f"{site.address}/clip.mp4", HERE, folder=tmp_path):
            assert proxy.asked == []


def test_the_process_that_downloads_gets_no_secrets(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VEMOCLAP_WEBHOOK_SECRET", "OTEL_EXPORTER_OTLP_HEADERS", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("SSL_CERT_FILE", "authorities.pem")
    seen: list[bytes] = []

    def look(_: FetchProgress) -> None:
        # The processes that this thread, the main one, has started.
        for process in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            if WORKER.encode() in Path(f"/proc/{process}/cmdline").read_bytes():
                seen.append(Path(f"/proc/{process}/environ").read_bytes())

    with fetch(f"{site.address}/clip.mp4", HERE, look, tmp_path):
        pass
    assert b"SSL_CERT_FILE=authorities.pem" in seen[0].split(b"\0")
    assert b"a secret" not in seen[0]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/clip.mp4",
        "data:video/mp4;base64,AAAA",
        "-x",
        "--exec=true",
        "ytsearch:cats",
        "http://",
        "http:///clip.mp4",
        "http://a b/",
        "http://host:port/",
        "http://[::1/",
        "http://example.org/\nx",
        "http://example.org/#__youtubedl_smuggle=%7B%7D",
        "",
    ],
)
def test_what_is_no_link_is_refused(url: str, tmp_path: Path) -> None:
    assert isinstance(fetch_error(url, tmp_path), errors.BadLinkError)


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("missing.mp4", errors.NothingThereError, "404"),
        ("none.html", errors.NothingThereError, "no video"),
        ("two.html", errors.NothingThereError, "several"),
        ("text.txt", errors.NothingThereError, "not a video"),
        ("false.mp4", errors.NothingThereError, "not a video"),
        ("live.m3u8", errors.VideoUnavailableError, "live"),
        ("loop", errors.NothingThereError, "without end"),
        ("huge.mp4", errors.TooLargeError, "2000 MB"),
    ],
)
def test_what_cannot_be_used_is_said(
    name: str, error: type[errors.FetchError], said: str, site: Site, tmp_path: Path
) -> None:
    raised = fetch_error(f"{site.address}/{name}", tmp_path)
    assert type(raised) is error
    assert said in str(raised)
    assert site.address in str(raised)
