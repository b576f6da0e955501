"""TLS of the gRPC endpoint: Triton's own options, checked before Triton is started."""

import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from server.errors import UsageError
from vemoclap_client.credentials import Credentials
from vemoclap_client.errors import AccessDeniedError, CertificateError


@dataclass(frozen=True)
class Tls:
    """What Triton shows its clients, and asks of them.

    Attributes:
        certificate: PEM file of the server's certificate, with those between it and its authority.
        key: PEM file of its private key, without a passphrase.
        client_root: PEM file of the authorities whose certificates clients must have (mutual TLS);
            None: clients need no certificate.
    """

    certificate: Path
    key: Path
    client_root: Path | None = None

    @property
    def arguments(self) -> list[str]:
        """Triton's arguments."""
        root = [f"--grpc-root-cert={self.client_root}"] if self.client_root else []
        mutual = "true" if self.client_root else "false"
        return [
            "--grpc-use-ssl=true",
            f"--grpc-use-ssl-mutual={mutual}",
            f"--grpc-server-cert={self.certificate}",
            f"--grpc-server-key={self.key}",
            *root,
        ]

    def own_credentials(self) -> Credentials:
        """What the launcher and its command connect with.

        They are clients like others: mutual TLS needs a certificate of theirs in the environment.
        The server's own certificate is what they trust if the environment does not say.
        """
        found = Credentials.read()
        return replace(found, tls=True, root=found.root or self.certificate.resolve())

    def check(self) -> None:
        """Returns if the files can be used. Triton would end without a word about its own.

        Raises:
            UsageError: names the option or variable and what is wrong.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key, _no_passphrase)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--grpc-server-cert {self.certificate}, --grpc-server-key {self.key}: they cannot "
                f"be used together ({error})."
            ) from error
        try:
            if self.client_root:
                context.load_verify_locations(self.client_root)
        except OSError as error:
            raise UsageError(
                f"--grpc-root-cert {self.client_root}: this cannot be used ({error})."
            ) from error
        try:
            self.own_credentials().to_grpc()
        except (CertificateError, AccessDeniedError) as error:
            raise UsageError(f"the launcher cannot be a client of its server: {error}") from error


def _no_passphrase() -> NoReturn:
    raise ValueError("the key has a passphrase, which Triton cannot be given")
