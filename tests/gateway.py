"""Certificates made for a test, and the real gateway: nginx with docker/gateway/nginx.conf."""

import base64
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.launching import PROJECT, Launched, free_port, wait_until
from vemoclap_client import Credentials

CONFIGURATION = PROJECT / "docker" / "gateway" / "nginx.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
NOBODY = "127.0.0.1:9"
"""Where nothing listens."""

USER, TOKEN = "alice", "5b1e-a-token-of-a-test-0c77"
TOKENS = {USER: TOKEN, "bob": "93fa-another-token-of-a-test-41"}


def require_nginx() -> str:
    """Path of nginx; skips the test where there is none."""
    if NGINX is None:
        pytest.skip("there is no nginx: run `apt-get install nginx`")
    return NGINX


@dataclass(frozen=True)
class Certificates:
    """PEM files of a server on this machine, of a client, and of one of another authority."""

    folder: Path

    def __post_init__(self) -> None:
        authority, other = trustme.CA(), trustme.CA()
        authority.cert_pem.write_to_path(self.root)
        other.cert_pem.write_to_path(self.folder / "other.pem")
        self._write("server", authority.issue_cert("127.0.0.1", "localhost"))
        self._write("client", authority.issue_cert("client@vemoclap.test"))
        self._write("stranger", other.issue_cert("stranger@vemoclap.test"))

    def _write(self, name: str, issued: trustme.LeafCert) -> None:
        issued.private_key_pem.write_to_path(self.folder / f"{name}.key")
        self.file(name).write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))

    def file(self, name: str) -> Path:
        """The certificate of server, client or stranger, or other authority."""
        return self.folder / f"{name}.pem"

    @property
    def root(self) -> Path:
        """The authority's own."""
        return self.folder / "root.pem"

    def credentials(self, name: str | None = None, token: str | None = None) -> Credentials:
        """Those of whoever has this certificate and this token."""
        if name is None:
            return Credentials(root=self.root, token=token)
        key = self.folder / f"{name}.key"
        return Credentials(root=self.root, certificate=self.file(name), key=key, token=token)


@dataclass(frozen=True)
class Gateway:
    """A gateway that answers."""

    address: str
    """host:port of gRPC, HTTP and the app."""
    certificates: Certificates
    folder: Path
    """Where its logs are."""

    def credentials(self, token: str | None) -> Credentials:
        """Of a client that knows the gateway's certificate."""
        return self.certificates.credentials(token=token)

    @property
    def tls(self) -> ssl.SSLContext:
        """The same for other programs."""
        return ssl.create_default_context(cafile=str(self.certificates.root))

    def get(
        self,
        path: str,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> tuple[int, str]:
        """Status and body of a request over HTTP, a POST if it has a body itself."""
        headers = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        request = urllib.request.Request(
            f"https://{self.address}{path}", body and body.encode(), headers
        )
        try:
            with urllib.request.urlopen(request, context=self.tls) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def logs(self) -> str:
        """All that it has written."""
        return "".join((self.folder / name).read_text() for name in ("access.log", "error.log"))


def lay_out(
    folder: Path,
    certificates: Certificates,
    port: int,
    upstreams: Mapping[str, str],
    changes: Mapping[str, str] | None = None,
) -> Path:
    """Writes the gateway's files as they are in its container, for this machine.

    Args:
        folder: for them all.
        certificates: of which it shows the server's.
        port: where it listens.
        upstreams: address in the configuration -> address in its place.
        changes: further text of the configuration -> what is in its place.

    Returns:
        The configuration.
    """
    text = CONFIGURATION.read_text(encoding="utf-8")
    places = {
        "listen 8443": f"listen 127.0.0.1:{port}",
        "/tmp/gateway": str(folder / "gateway"),
        "/dev/stdout": str(folder / "access.log"),
    }
    for old, new in {**places, **upstreams, **(changes or {})}.items():
        assert old in text, old
        text = text.replace(old, new)
    secrets = folder / "secrets"
    secrets.mkdir()
    shutil.copy(certificates.file("server"), secrets / "certificate.pem")
    shutil.copy(certificates.folder / "server.key", secrets / "key.pem")
    lines = []
    for user, token in TOKENS.items():
        password = base64.b64encode(f"{user}:{token}".encode()).decode()
        lines += [f'"Bearer {token}" {user};\n', f'"Basic {password}" {user};\n']
    (secrets / "tokens.map").write_text("".join(lines))
    configuration = folder / "nginx.conf"
    configuration.write_text(text, encoding="utf-8")
    return configuration


@contextmanager
def running_gateway(
    folder: Path,
    server: Launched,
    app: str = NOBODY,
    changes: Mapping[str, str] | None = None,
) -> Iterator[Gateway]:
    """Runs the gateway for as long as the context lasts; arguments as of lay_out.

    Args:
        app: host:port of the app behind it.
    """
    nginx = require_nginx()
    folder.mkdir(exist_ok=True)
    certificates = Certificates(folder)
    port = free_port()
    upstreams = {
        "server:8001": server.url,
        "server:8000": server.http.removeprefix("http://"),
        "app:8501": app,
    }
    configuration = lay_out(folder, certificates, port, upstreams, changes)
    with (folder / "error.log").open("w") as log:
        command = [nginx, "-c", str(configuration), "-g", "daemon off;"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        gateway = Gateway(f"127.0.0.1:{port}", certificates, folder)
        try:
            wait_until(lambda: process.poll() is not None or _answers(gateway))
            assert process.poll() is None, (folder / "error.log").read_text()
            yield gateway
        finally:
            process.terminate()
            process.wait(30)
            # Shown by pytest beside a failure.
            print(gateway.logs())


def _answers(gateway: Gateway) -> bool:
    try:
        return gateway.get("/v2/health/live")[0] == 200
    except OSError:
        return False
