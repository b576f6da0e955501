"""One real server for all tests that do not harm it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launching import PROJECT, SERVER_PYTHON, Launched, launched
from vemoclap_client import EmotionClient


def require(path: Path, target: str) -> Path:
    """Skips the test, by name, where `make TARGET` has not brought a file yet."""
    if not path.exists():
        pytest.skip(f"{path.relative_to(PROJECT)} is missing: run `make {target}`")
    return path


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
