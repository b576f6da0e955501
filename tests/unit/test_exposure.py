"""What listens where other machines reach it only if that is said: the server and the app."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.__main__ import _parser as launcher
from server.address import LOOPBACK, Address
from server.doors import check_doors, read_address, read_tls
from server.errors import UsageError
from tests.gateway import Certificates
from tests.launching import PROJECT
from ui.settings import Settings, SettingsError, check_address

EXPOSED = ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "vemoclap.example"]
LOCAL = ["127.0.0.1", "127.9.9.9", "::1", "localhost"]


def check(*arguments: str | Path) -> None:
    """Has the launcher check its options, as before it starts anything."""
    given = launcher().parse_args([str(argument) for argument in arguments])
    check_doors(given, read_address(given), read_tls(given))


def server_certificate(folder: Path) -> tuple[str | Path, ...]:
    """The options of a server with a certificate; a root for clients is in the folder, too."""
    certificate = Certificates(folder).file("server")
    return "--grpc-server-cert", certificate, "--grpc-server-key", folder / "server.key"


@pytest.mark.parametrize("host", EXPOSED)
def test_the_server_refuses_an_address_that_others_reach(host: str, tmp_path: Path) -> None:
    one_way = server_certificate(tmp_path)
    for options in ((), one_way):
        with pytest.raises(UsageError, match="--unprotected"):
            check("--host", host, *options)
    # Certificates of the clients or a word open it.
    check("--host", host, *one_way, "--grpc-root-cert", tmp_path / "root.pem")
    check("--host", host, "--unprotected")


@pytest.mark.parametrize("host", LOCAL)
def test_this_machine_s_own_addresses_are_not_refused(host: str) -> None:
    check("--host", host)


def test_what_triton_does_not_encrypt_stays_on_this_machine(tmp_path: Path) -> None:
    encrypted = ["--host", "0.0.0.0", *map(str, server_certificate(tmp_path))]
    for options, http_host in (((), "127.0.0.1"), (("--unprotected",), "0.0.0.0")):
        address = read_address(launcher().parse_args([*encrypted, *options]))
        assert address.hosts == {"grpc": "0.0.0.0", "http": http_host, "metrics": http_host}


def test_certificates_that_triton_could_not_use_are_named(tmp_path: Path) -> None:
    cert, certificate, key, key_file = server_certificate(tmp_path)
    for options, said in (
        ((cert, certificate), "give both"),
        (("--grpc-root-cert", tmp_path / "root.pem"), "--grpc-root-cert needs"),
        ((cert, tmp_path / "nowhere", key, key_file), "nowhere"),
        ((cert, certificate, key, tmp_path / "client.key"), "cannot be used together"),
        ((cert, certificate, key, key_file, "--grpc-root-cert", key_file), "--grpc-root-cert"),
    ):
        with pytest.raises(UsageError, match=said):
            check(*options)


def test_a_launcher_that_could_not_connect_says_so_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = server_certificate(tmp_path)
    for variable, value, said in (
        ("VEMOCLAP_TLS_CERTIFICATE", options[1], "VEMOCLAP_TLS_KEY"),
        ("VEMOCLAP_TLS_ROOT", tmp_path / "nowhere", "nowhere"),
        ("VEMOCLAP_TOKEN_FILE", tmp_path / "nowhere", "nowhere"),
    ):
        with monkeypatch.context() as environment:
            environment.setenv(variable, str(value))
            with pytest.raises(UsageError, match=f"client of its server.*{said}"):
                check(*options)


ANY_PORTS = Address(grpc_port=0, http_port=0, metrics_port=0)


@pytest.mark.parametrize(
    "given", [{"host": "192.0.2.1"}, {"host": "a..b"}, {"grpc_port": 70000}, {"http_port": -5}]
)
def test_a_host_or_port_that_is_none_is_not_called_taken(given: dict[str, Any]) -> None:
    with (
        pytest.raises(UsageError, match="cannot listen on") as caught,
        replace(ANY_PORTS, **given).reserved(),
    ):
        pass
    assert "Stop what listens" not in str(caught.value)


def test_until_triton_listens_no_other_program_gets_its_ports() -> None:
    with ANY_PORTS.reserved() as address:
        assert len({0, *address.ports.values()}) == 4
        for port in address.ports.values():
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind((LOOPBACK, port))
            # As Triton does; tests/server has real ones.
            socket.create_server((LOOPBACK, port)).close()


@pytest.mark.parametrize(
    "option", ["--probe-interval-s=-1", "--startup-timeout-s=-3", "--startup-timeout-s=nan"]
)
def test_a_time_that_is_none_is_wrong_usage(option: str) -> None:
    with pytest.raises(SystemExit) as ended:
        launcher().parse_args([option])
    assert ended.value.code == UsageError.exit_code


def test_an_empty_variable_names_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEMOCLAP_HEALTH_FILE", "")
    given = launcher().parse_args(["--probe-interval-s", "0"])
    assert (given.health_file, given.probe_interval_s) == (None, None)


@pytest.mark.parametrize("address", [*EXPOSED, None, ""])
def test_the_app_refuses_an_address_that_others_reach(address: str | None) -> None:
    with pytest.raises(SettingsError, match="VEMOCLAP_APP_UNPROTECTED"):
        check_address(address, Settings(Path()))
    check_address(address, Settings(Path(), unprotected=True))
    check_address(address, Settings(Path(), is_behind_gateway=True))


@pytest.mark.parametrize(
    ("address", "below", "said"),
    [
        ("0.0.0.0", "data", "other machines would reach the app at 0.0.0.0"),
        ("127.0.0.1", "file/data", "the folder "),
    ],
)
def test_the_app_says_so_before_it_listens(
    address: str, below: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    environment = {
        "STREAMLIT_SERVER_ADDRESS": address,
        "VEMOCLAP_APP_DATA": str(tmp_path / below),
    }
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
    assert done.stderr.startswith(f"error: {said}")
    assert "$VEMOCLAP_APP_" in done.stderr


@pytest.mark.parametrize("address", [*LOCAL, "unix:///run/vemoclap.sock"])
def test_the_app_listens_on_this_machine(address: str) -> None:
    check_address(address, Settings(Path()))
