"""How a client and a server know each other: TLS, certificates, and the token for a gateway.

A token is only ever sent encrypted, and is in no message, no log and no command line.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc

from vemoclap_client.errors import AccessDeniedError, CertificateError

VARIABLES = {
    "tls": "VEMOCLAP_TLS",
    "root": "VEMOCLAP_TLS_ROOT",
    "certificate": "VEMOCLAP_TLS_CERTIFICATE",
    "key": "VEMOCLAP_TLS_KEY",
    "name": "VEMOCLAP_TLS_NAME",
    "token": "VEMOCLAP_TOKEN",
    "token_file": "VEMOCLAP_TOKEN_FILE",
}
"""Attribute of Credentials -> the variable of the environment that gives it."""

PATHS = ("root", "certificate", "key", "token_file")


@dataclass(frozen=True)
class Credentials:
    """What a client needs for a server that is not open to everyone.

    Without any of them the connection is not encrypted; each of them asks for TLS.

    Attributes:
        tls: encrypt, and check the server's certificate ($VEMOCLAP_TLS is 1).
        root: PEM file of the authorities that may have signed the server's certificate; by default
            those that gRPC brings ($VEMOCLAP_TLS_ROOT).
        certificate: PEM file of the client's own certificate, for mutual TLS
            ($VEMOCLAP_TLS_CERTIFICATE).
        key: PEM file of that certificate's private key ($VEMOCLAP_TLS_KEY).
        name: whose certificate the server must show, where that is not the host of its address
            ($VEMOCLAP_TLS_NAME).
        token: for a gateway ($VEMOCLAP_TOKEN).
        token_file: holds the token, in place of `token` ($VEMOCLAP_TOKEN_FILE).
    """

    tls: bool = False
    root: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Those that the environment names."""
        found = {name: environment.get(variable) or None for name, variable in VARIABLES.items()}
        paths = {name: Path(text) if (text := found[name]) else None for name in PATHS}
        return cls(
            tls=found["tls"] == "1",
            name=found["name"],
            token=found["token"],
            **paths,
        )

    def to_environment(self) -> dict[str, str]:
        """The variables from which `read` makes the same; those that are not given are empty."""
        values = {name: getattr(self, name) for name in VARIABLES} | {"tls": 1 if self.tls else ""}
        return {VARIABLES[name]: str(value or "") for name, value in values.items()}

    def to_grpc(self) -> grpc.ChannelCredentials | None:
        """As gRPC takes them, with the files as they are now; None for no encryption.

        Raises:
            CertificateError: a file of certificates cannot be read, or one of two is missing.
            AccessDeniedError: the token cannot be read or used.
        """
        if self == Credentials():
            return None
        if (self.certificate is None) != (self.key is None):
            raise CertificateError(
                "a client's certificate and its private key belong together: give both "
                "($VEMOCLAP_TLS_CERTIFICATE, $VEMOCLAP_TLS_KEY)."
            )
        encrypted = grpc.ssl_channel_credentials(
            *(_read_pem(file) for file in (self.root, self.key, self.certificate))
        )
        token = self._read_token()
        if token is None:
            return encrypted
        return grpc.composite_channel_credentials(
            encrypted, grpc.access_token_call_credentials(token)
        )

    def _read_token(self) -> str | None:
        token = self.token
        if self.token_file is not None:
            try:
                token = self.token_file.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise AccessDeniedError(
                    f"the file with the token, {self.token_file}, cannot be read: "
                    f"{getattr(error, 'strerror', None) or 'it is not text'}."
                ) from None  # The reason may show what is in the file.
        if token is not None and not (token.isascii() and token.isprintable() and token.split()):
            raise AccessDeniedError("the token is empty, or has characters that no token has.")
        return token


def _read_pem(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        text = file.read_bytes()
    except OSError as error:
        raise CertificateError(f"{file} cannot be read: {error.strerror}.") from error
    if b"-----BEGIN " not in text:
        raise CertificateError(f"{file} is not a PEM file: it has no line of dashes with BEGIN.")
    return text
