"""What listens where other machines reach it only if that is said: the server and the app."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.__main__ import main
from server.address import Address
from server.errors import UsageError
from tests.gateway import Certificates
from tests.launching import PROJECT
from ui.settings import Settings, SettingsError, check_address

EXPOSED = ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "vemoclap.example"]
LOCAL = ["127.0.0.1", "127.9.9.9", "::1", "localhost"]


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What `python -m server` ends with before it starts anything."""
    assert main([*arguments, "--model-repository", "/nowhere"]) == UsageError.exit_code
    return capsys.readouterr().err


@pytest.mark.parametrize("host", EXPOSED)
def test_the_server_refuses_an_address_that_others_reach(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--unprotected" in refusal(["--host", host], capsys)
    certificates = Certificates(tmp_path)
    one_way = ["--grpc-server-cert", str(certificates.file("server"))]
    one_way += ["--grpc-server-key", str(tmp_path / "server.key")]
    assert "--unprotected" in refusal(["--host", host, *one_way], capsys)


@pytest.mark.parametrize("host", LOCAL)
def test_this_machine_s_own_addresses_are_not_refused(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Address(host, http_host=host).is_for_this_machine
    # It goes on to the next thing that is wrong.
    assert "no command 'nonsense" in refusal(["--host", host, "--", "nonsense"], capsys)


def test_certificates_or_a_word_open_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = Certificates(tmp_path)
    mutual = ["--grpc-server-cert", str(certificates.file("server"))]
    mutual += ["--grpc-server-key", str(tmp_path / "server.key")]
    mutual += ["--grpc-root-cert", str(certificates.root)]
    for allowed in (mutual, ["--unprotected"]):
        told = refusal(["--host", "0.0.0.0", *allowed, "--", "nonsense"], capsys)
        assert "no command 'nonsense" in told


def test_certificates_that_triton_could_not_use_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = Certificates(tmp_path)
    given = {
        "--grpc-server-cert": certificates.file("server"),
        "--grpc-server-key": tmp_path / "server.key",
        "--grpc-root-cert": certificates.root,
    }

    def told(**changes: Path | None) -> str:
        named = {f"--grpc-{name.replace('_', '-')}": file for name, file in changes.items()}
        files = {name: file for name, file in (given | named).items() if file}
        return refusal([str(part) for pair in files.items() for part in pair], capsys)

    assert "give both" in told(server_key=None)
    assert "--grpc-root-cert needs" in told(server_key=None, server_cert=None)
    assert "nowhere" in told(server_cert=tmp_path / "nowhere")
    assert "cannot be used together" in told(server_key=tmp_path / "client.key")
    assert "--grpc-root-cert" in told(root_cert=tmp_path / "server.key")


@pytest.mark.parametrize("address", [*EXPOSED, None, ""])
def test_the_app_refuses_an_address_that_others_reach(address: str | None) -> None:
    with pytest.raises(SettingsError, match="VEMOCLAP_APP_UNPROTECTED"):
        check_address(address, Settings(Path()))
    check_address(address, Settings(Path(), unprotected=True))
    check_address(address, Settings(Path(), is_behind_gateway=True))


def test_the_app_says_so_before_it_listens(tmp_path: Path) -> None:
    environment = {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0", "VEMOCLAP_APP_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "ui.serve"],
        cwd=PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: other machines would reach the app at 0.0.0.0")


@pytest.mark.parametrize("address", [*LOCAL, "unix:///run/vemoclap.sock"])
def test_the_app_listens_on_this_machine(address: str) -> None:
    check_address(address, Settings(Path()))
