"""The app's settings, from the environment: the one place for each of its limits."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from vemoclap_client.channels import DEFAULT_URL, is_loopback_host
from vemoclap_client.limited import DecodingLimits

DEFAULT_METRICS_URL = "http://127.0.0.1:8002/metrics"
BYTES_PER_MB = 1_000_000
SECRET_PREFIX = "whsec_"
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64


@dataclass(frozen=True)
class Settings:
    """What whoever runs the app can choose.

    Attributes:
        data: folder of jobs, uploads and results ($VEMOCLAP_APP_DATA).
        folder: folder on the server whose clips the library offers; None for none
            ($VEMOCLAP_APP_FOLDER).
        samples: folder of the sample clips ($VEMOCLAP_APP_SAMPLES).
        server_url: host:port of Triton's gRPC endpoint, or of several ($VEMOCLAP_URL).
        metrics_url: of Triton's metrics ($VEMOCLAP_METRICS_URL).
        upload_limit_mb: largest upload and download, in millions of bytes
            ($VEMOCLAP_APP_UPLOAD_MB).
        duration_limit_s: longest clip that is taken from a link ($VEMOCLAP_APP_DURATION_S).
        keep_days: clips and results older than this are removed ($VEMOCLAP_APP_KEEP_DAYS).
        workers: clips that are answered side by side ($VEMOCLAP_APP_WORKERS).
        windows_at_once: parts of a timeline that are encoded at a time ($VEMOCLAP_APP_WINDOWS);
            few, so that a new clip need not wait for many of them, more where a GPU serves.
        decode_s: seconds of processor time that decoding a clip may take
            ($VEMOCLAP_APP_DECODE_S).
        decode_mb: memory that decoding a clip may take, in millions of bytes
            ($VEMOCLAP_APP_DECODE_MB).
        unprotected: whether the app may listen where other machines reach it
            ($VEMOCLAP_APP_UNPROTECTED is 1).
        queue_limit: clips that may wait at once; further ones are refused ($VEMOCLAP_APP_QUEUE).
        is_behind_gateway: nobody can reach the app but through the gateway, which says in a header
            whose token a request had, and so whose clips it is about ($VEMOCLAP_APP_GATEWAY is 1).
        hosts: names, besides IP addresses and localhost, at which the app may be called
            ($VEMOCLAP_API_HOSTS, separated by commas).
        webhook_secret: signs what is sent to webhooks: "whsec_" and base64 of 24 to 64 bytes;
            without it there are no webhooks ($VEMOCLAP_WEBHOOK_SECRET).
        webhook_hosts: names and addresses that webhooks may have although they are not public
            ($VEMOCLAP_WEBHOOK_HOSTS, separated by commas).
        session_hours: how long after it people sign in again ($VEMOCLAP_APP_SESSION_HOURS).
        owner_jobs: clips of one owner that wait or are worked on ($VEMOCLAP_APP_OWNER_JOBS).
        owner_mb: what one owner may have on the disk, in millions of bytes
            ($VEMOCLAP_APP_OWNER_MB).
        owner_uploads: files of one owner that are received at a time; others wait
            ($VEMOCLAP_APP_OWNER_UPLOADS).
    """

    data: Path
    folder: Path | None = None
    samples: Path = Path("samples")
    server_url: str = DEFAULT_URL
    metrics_url: str = DEFAULT_METRICS_URL
    upload_limit_mb: int = 2000
    duration_limit_s: int = 3600
    keep_days: int = 30
    workers: int = 2
    windows_at_once: int = 2
    decode_s: int = DecodingLimits.processor_s
    decode_mb: int = DecodingLimits.memory_bytes // BYTES_PER_MB
    unprotected: bool = False
    queue_limit: int = 1000
    is_behind_gateway: bool = False
    hosts: frozenset[str] = frozenset()
    webhook_secret: str = field(default="", repr=False)
    webhook_hosts: frozenset[str] = frozenset()
    session_hours: int = 12
    owner_jobs: int = 50
    owner_mb: int = 20_000
    owner_uploads: int = 4

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings of this process.

        Raises:
            SettingsError: a number is not a whole number above zero, or a secret is none.
        """
        home = environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        folder = environment.get("VEMOCLAP_APP_FOLDER")

        def number(name: str, default: int) -> int:
            return _number(environment, name, default)

        return cls(
            data=Path(environment.get("VEMOCLAP_APP_DATA") or Path(home) / "vemoclap"),
            folder=Path(folder) if folder else None,
            samples=Path(environment.get("VEMOCLAP_APP_SAMPLES") or cls.samples),
            server_url=environment.get("VEMOCLAP_URL") or cls.server_url,
            metrics_url=environment.get("VEMOCLAP_METRICS_URL") or cls.metrics_url,
            upload_limit_mb=number("VEMOCLAP_APP_UPLOAD_MB", cls.upload_limit_mb),
            duration_limit_s=number("VEMOCLAP_APP_DURATION_S", cls.duration_limit_s),
            keep_days=number("VEMOCLAP_APP_KEEP_DAYS", cls.keep_days),
            workers=number("VEMOCLAP_APP_WORKERS", cls.workers),
            windows_at_once=number("VEMOCLAP_APP_WINDOWS", cls.windows_at_once),
            unprotected=environment.get("VEMOCLAP_APP_UNPROTECTED") == "1",
            queue_limit=number("VEMOCLAP_APP_QUEUE", cls.queue_limit),
            is_behind_gateway=environment.get("VEMOCLAP_APP_GATEWAY") == "1",
            hosts=_names(environment, "VEMOCLAP_API_HOSTS"),
            webhook_secret=_secret(environment, "VEMOCLAP_WEBHOOK_SECRET"),
            webhook_hosts=_names(environment, "VEMOCLAP_WEBHOOK_HOSTS"),
            session_hours=number("VEMOCLAP_APP_SESSION_HOURS", cls.session_hours),
            owner_jobs=number("VEMOCLAP_APP_OWNER_JOBS", cls.owner_jobs),
            owner_mb=number("VEMOCLAP_APP_OWNER_MB", cls.owner_mb),
            owner_uploads=number("VEMOCLAP_APP_OWNER_UPLOADS", cls.owner_uploads),
            decode_s=number("VEMOCLAP_APP_DECODE_S", cls.decode_s),
            decode_mb=number("VEMOCLAP_APP_DECODE_MB", cls.decode_mb),
        )

    @property
    def upload_limit_bytes(self) -> int:
        """The largest upload and download."""
        return self.upload_limit_mb * BYTES_PER_MB

    @property
    def decoding_limits(self) -> DecodingLimits:
        """What decoding one clip may cost."""
        return DecodingLimits(self.decode_s, memory_bytes=self.decode_mb * BYTES_PER_MB)

    @property
    def owner_bytes(self) -> int:
        """What one owner may have on the disk."""
        return self.owner_mb * BYTES_PER_MB


class SettingsError(ValueError):
    """A variable of the environment cannot be used."""


def check_address(address: str | None, settings: Settings) -> None:
    """Returns if the app may listen at an address; None is every address of the machine.

    Raises:
        SettingsError: other machines reach it, and nothing says that they may.
    """
    # A path is a socket's, which is for this machine alone.
    is_reached = not (address and (address.startswith("unix://") or is_loopback_host(address)))
    if is_reached and not (settings.unprotected or settings.is_behind_gateway):
        raise SettingsError(
            f"other machines would reach the app at {address or 'every address'}, and it lets in "
            "everyone who does. Leave --server.address at 127.0.0.1, behind the gateway for "
            "others, or set $VEMOCLAP_APP_UNPROTECTED to 1 where only the right ones reach it. "
            "See docs/security.md."
        )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise SettingsError(f"${name} is {text!r}; it must be a whole number above zero")
    return int(text)


def _names(environment: Mapping[str, str], name: str) -> frozenset[str]:
    parts = environment.get(name, "").lower().split(",")
    return frozenset(part.strip() for part in parts if part.strip())


def _secret(environment: Mapping[str, str], name: str) -> str:
    text = environment.get(name, "")
    try:
        size = len(base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True))
    except ValueError:
        size = 0
    is_secret = text.startswith(SECRET_PREFIX) and SECRET_BYTES_MIN <= size <= SECRET_BYTES_MAX
    if text and not is_secret:
        # It is not shown.
        raise SettingsError(
            f"${name} must be {SECRET_PREFIX!r} and base64 of {SECRET_BYTES_MIN} to "
            f"{SECRET_BYTES_MAX} bytes, as from: echo whsec_$(openssl rand -base64 32)"
        )
    return text
