"""Starts the app on a server, and a browser to look at it."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.launching import PROJECT, Launched, free_port, wait_until

CHROMIUM = os.environ.get("VEMOCLAP_CHROMIUM") or shutil.which("chromium")
"""The system's: Playwright's own is not downloaded."""

NO_SERVER = "127.0.0.1:1"
"""Nothing listens there: the connection is refused at once."""


@dataclass(frozen=True)
class RunningApp:
    """An app that answers."""

    process: subprocess.Popen[bytes]
    url: str
    data: Path
    """Its folder of jobs."""
    folder: Path
    """The folder of clips that its library offers."""


@contextmanager
def running_app(
    folder: Path,
    server: Launched | None,
    settings: Mapping[str, str] | None = None,
    port: str = "",
) -> Iterator[RunningApp]:
    """Runs the app for as long as the context lasts.

    Args:
        folder: for all that it writes; what was there before is found again.
        server: the Triton that it calls; without one its clips wait.
        settings: further variables of its environment.
        port: where it listens; empty for any free one.
    """
    port = port or str(free_port())
    app_url = f"http://localhost:{port}"
    clips = folder / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "client")]),
        "VEMOCLAP_URL": server.url if server else NO_SERVER,
        "VEMOCLAP_METRICS_URL": f"http://127.0.0.1:{server.ready['metrics_port']}/metrics"
        if server
        else f"http://{NO_SERVER}/metrics",
        "VEMOCLAP_APP_DATA": str(folder / "data"),
        "VEMOCLAP_APP_FOLDER": str(clips),
        "VEMOCLAP_APP_SAMPLES": str(PROJECT / "samples"),
        # The tests' links lead to this machine.
        "VEMOCLAP_FETCH_PRIVATE": "1",
        **(settings or {}),
    }
    with (folder / "app.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ui.serve", "--server.port", port],
            cwd=PROJECT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: answers(f"{app_url}/_stcore/health") or process.poll() is not None)
        assert process.poll() is None, (folder / "app.log").read_text()
        yield RunningApp(process, app_url, folder / "data", clips)
    finally:
        stop(process)
        # Shown by pytest beside a failure.
        print((folder / "app.log").read_text())


def stop(process: subprocess.Popen[bytes]) -> int:
    """Stops the app as Ctrl-C would; returns its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@contextmanager
def running_browser() -> Iterator[Browser]:
    """The system's Chromium; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium: run `apt-get install chromium`")
    with sync_playwright() as playwright:
        # Root, which containers run as, may not use Chromium's sandbox.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def answers(url: str) -> bool:
    """Whether a request to this address succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
