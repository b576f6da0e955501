"""What unit tests share."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ui.application import Application


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has set for links does not count."""
    for name in ("VEMOCLAP_FETCH_PRIVATE", "VEMOCLAP_FETCH_COOKIES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Application":
    """The app in a folder of its own, see app_fixture.py. Only tests that use it load Streamlit."""
    from tests.unit.app_fixture import fake_application

    return fake_application(tmp_path, monkeypatch)
