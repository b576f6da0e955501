"""What a client shows a server and asks of it: read, handed to gRPC, never shown."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.gateway import TOKEN, Certificates
from vemoclap_client import Credentials, EmotionClient
from vemoclap_client.channels import connection
from vemoclap_client.cli._options import read_credentials
from vemoclap_client.cli.main import build_parser
from vemoclap_client.credentials import VARIABLES
from vemoclap_client.errors import AccessDeniedError, CertificateError

GIVEN = {
    "VEMOCLAP_TLS": "1",
    "VEMOCLAP_TLS_ROOT": "/root.pem",
    "VEMOCLAP_TLS_CERTIFICATE": "/own.pem",
    "VEMOCLAP_TLS_KEY": "/own.key",
    "VEMOCLAP_TLS_NAME": "host",
    "VEMOCLAP_TOKEN": TOKEN,
    "VEMOCLAP_TOKEN_FILE": "/token",
}
FILES = {"root": "/root.pem", "certificate": "/own.pem", "key": "/own.key", "token_file": "/token"}


def test_the_environment_gives_all_of_it() -> None:
    found = Credentials.read(GIVEN)
    paths = {name: Path(file) for name, file in FILES.items()}
    assert found == Credentials(tls=True, name="host", token=TOKEN, **paths)
    assert found.to_environment() == GIVEN
    assert Credentials.read({}) == Credentials.read(Credentials().to_environment()) == Credentials()


def test_the_command_line_counts_more_than_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    parse = build_parser().parse_args
    assert read_credentials(parse(["classify", "clip.mp4"])) == Credentials.read()
    options = ["--tls-root", "a", "--tls-key", "b", "--tls-name", "c", "--token-file", "d"]
    found = read_credentials(parse(["timeline", "clip.mp4", *options]))
    expected = {"root": Path("a"), "key": Path("b"), "name": "c", "token_file": Path("d")}
    assert found == replace(Credentials.read(), **expected)  # type: ignore[arg-type]


def test_a_token_is_no_option_of_the_command() -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["classify", "clip.mp4", "--token", TOKEN])


def test_without_credentials_nothing_is_encrypted() -> None:
    assert Credentials().to_grpc() is None
    assert connection("host:1", Credentials())["creds"] is None


@pytest.mark.parametrize("name", sorted(set(VARIABLES) - {"certificate", "key"}))
def test_each_of_them_asks_for_encryption(name: str, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    (tmp_path / "token").write_text(TOKEN)
    values = {"tls": True, "name": "host", "token": TOKEN}
    files = {"root": certificates.root, "token_file": tmp_path / "token"}
    given = Credentials(**{name: (values | files)[name]})  # type: ignore[arg-type]
    assert connection("host:1", given)["creds"] is not None


def test_the_token_is_not_shown() -> None:
    assert TOKEN not in repr(Credentials(token=TOKEN))
    assert TOKEN not in str(vars(EmotionClient("host:1", credentials=Credentials(token=TOKEN))))


@pytest.mark.parametrize("text", [b"", b"\n", b"two\nlines", b"\xff\xfe", "tökén".encode()])
def test_what_is_no_token_is_refused_and_not_shown(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(text)
    with pytest.raises(AccessDeniedError, match="token") as caught:
        Credentials(token_file=tmp_path / "token").to_grpc()
    assert not {"two", "lines", "tökén"} & set(str(caught.value).split())


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with pytest.raises(AccessDeniedError, match=r"nowhere.* No such file"):
        Credentials(token_file=tmp_path / "nowhere").to_grpc()
    with pytest.raises(CertificateError, match=r"nowhere.* No such file"):
        Credentials(root=tmp_path / "nowhere").to_grpc()
    (tmp_path / "text").write_text("no certificate")
    with pytest.raises(CertificateError, match="not a PEM file"):
        Credentials(root=tmp_path / "text").to_grpc()
    with pytest.raises(CertificateError, match="VEMOCLAP_TLS_KEY"):
        Credentials(certificate=certificates.file("client")).to_grpc()


def test_of_several_servers_the_first_one_s_host_is_expected() -> None:
    def expected(url: str, credentials: Credentials) -> list[str]:
        options = connection(url, credentials)["channel_args"]
        return [value for name, value in options if name == "grpc.ssl_target_name_override"]

    assert expected("127.0.0.1:1", Credentials(tls=True)) == []
    assert expected("127.0.0.1:1,127.0.0.2:1", Credentials(tls=True)) == ["127.0.0.1"]
    assert expected("127.0.0.1:1,127.0.0.2:1", Credentials(name="host")) == ["host"]
