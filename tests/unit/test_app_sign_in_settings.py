"""What in Streamlit's secrets turns the sign-in on, and what stops the start."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from streamlit import config
from streamlit.runtime.secrets import Secrets, secrets_singleton

from ui.settings import SettingsError
from ui.sign_in import configuration

ADDRESS = "http://localhost:8501"
ISSUER = "https://login.example"
SECRET = "0123456789abcdef0123456789abcdef"
CLIENT_SECRET = "not for anyone's eyes"


def good_section(**changes: object) -> dict[str, Any]:
    section = {
        "redirect_uri": f"{ADDRESS}/oauth2callback",
        "cookie_secret": SECRET,
        "client_id": "vemoclap",
        "client_secret": CLIENT_SECRET,
        "server_metadata_url": f"{ISSUER}/.well-known/openid-configuration",
    }
    return {name: value for name, value in (section | changes).items() if value is not None}


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Writes the file that Streamlit reads as its secrets."""
    path = tmp_path / "secrets.toml"
    before = config.get_option("secrets.files")
    monkeypatch.setattr(Secrets, "_maybe_install_file_watchers", lambda _: None)

    def write(text: str) -> None:
        path.write_text(text)
        secrets_singleton._reset()

    config.set_option("secrets.files", [str(path)])
    secrets_singleton._reset()
    yield write
    config.set_option("secrets.files", before)
    secrets_singleton._reset()


def toml(section: Mapping[str, Any], name: str = "auth") -> str:
    return f"[{name}]\n" + "".join(f"{key} = {value!r}\n" for key, value in section.items())


def test_without_secrets_nobody_signs_in(
    secrets: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="are not there"):
        configuration.read_providers()
    # Where nobody names them, Streamlit looks in places that need not be there.
    monkeypatch.setattr(configuration, "is_manually_set", lambda _: False)
    assert configuration.read_providers() == ()
    secrets("[other]\nkey = 'value'\n")
    assert configuration.read_providers() == ()


def test_who_people_sign_in_with(secrets: Callable[[str], None]) -> None:
    secrets(toml(good_section()))
    assert configuration.read_providers() == ("default",)
    assert configuration.origin() == ADDRESS


def test_named_providers(secrets: Callable[[str], None]) -> None:
    keys = ("client_id", "client_secret", "server_metadata_url")
    common = good_section(**dict.fromkeys(keys))
    one = {key: value for key, value in good_section().items() if key in keys}
    secrets(toml(common) + toml(one, "auth.okta") + toml(one, "auth.google"))
    assert configuration.read_providers() == ("okta", "google")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[auth\n", "cannot be parsed"),
        ("auth = 'yes'\n", "not a section"),
        ("[auth]\n", "redirect_uri"),
        (toml(good_section(cookie_secret=None)), "cookie_secret"),
        (toml(good_section(cookie_secret="short")), "shorter than 32"),
        (toml(good_section(client_secret=None)), "client_secret"),
        (toml(good_section(client_id=None)), "client_id"),
        (toml(good_section(server_metadata_url=None)), "server_metadata_url"),
        (toml(good_section(redirect_uri="http://clips.example/oauth2callback")), "https"),
        (toml(good_section(redirect_uri="clips.example")), "https"),
    ],
)
def test_secrets_that_cannot_be_used_stop_the_start(
    secrets: Callable[[str], None], text: str, what: str
) -> None:
    secrets(text)
    with pytest.raises(SettingsError, match=what) as found:
        configuration.read_providers()
    for secret in (SECRET, CLIENT_SECRET):
        assert secret not in str(found.value)
