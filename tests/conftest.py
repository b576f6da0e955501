"""Marks tests by the folder they are in; one real server for all tests that do not harm it."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.launching import PROJECT, SERVER_PYTHON, Launched, launched
from tests.link_server import Site, films, serve
from tests.requiring import require
from vemoclap_client import EmotionClient

# Before Ray is imported: else a thread of a batch that was ended connects to the cluster again,
# which the cluster does not allow when it ends.
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")

KINDS = ("unit", "parity", "server", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in KINDS:
            item.add_marker(folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Which tests go to one process, where there are several.

    Not by xdist's marker for groups: its release 3.8 does nothing with it under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return Scheduling(config, log)


def group(nodeid: str) -> str:
    """A file's tests share what they have prepared; those in tests/server one server.

    So no second process starts a Triton. The paper's networks are large: each is a group.
    """
    file, _, test = nodeid.partition("::")
    if file.startswith("tests/server/"):
        return "server"
    if file == "tests/parity/test_paper_exported.py":
        return f"{file} {test.partition('[')[2].partition('-')[0]}"
    return file


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything was set up, a skipped test is a test that did not run."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
    return report


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """The embedded profile on a Triton of its own."""
    require(SERVER_PYTHON, "setup")
    require(PROJECT / "model_repository" / "fusion" / "1" / "model.onnx", "export")
    with launched(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: Launched) -> Iterator[EmotionClient]:
    """A client of that server."""
    with EmotionClient(server.url) as emotion_client:
        yield emotion_client


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of the sample clips."""
    return require(PROJECT / "samples" / "portrait.mp4", "samples").parent


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Clips, pages and playlists that links lead to."""
    with serve(films(tmp_path_factory.mktemp("site"))) as running:
        yield running
