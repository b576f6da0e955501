"""The app's settings, from the environment: the one place for each of its limits."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vemoclap_client.client import DEFAULT_URL
from vemoclap_client.limited import DecodingLimits

DEFAULT_METRICS_URL = "http://127.0.0.1:8002/metrics"
BYTES_PER_MB = 1_000_000


@dataclass(frozen=True)
class Settings:
    """What whoever runs the app can choose.

    Attributes:
        data: folder of jobs, uploads and results ($VEMOCLAP_APP_DATA).
        folder: folder on the server whose clips the library offers; None for none
            ($VEMOCLAP_APP_FOLDER).
        samples: folder of the sample clips ($VEMOCLAP_APP_SAMPLES).
        server_url: host:port of Triton's gRPC endpoint ($VEMOCLAP_URL).
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

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings of this process.

        Raises:
            SettingsError: a number is not a whole number above zero.
        """
        home = environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        folder = environment.get("VEMOCLAP_APP_FOLDER")
        return cls(
            data=Path(environment.get("VEMOCLAP_APP_DATA") or Path(home) / "vemoclap"),
            folder=Path(folder) if folder else None,
            samples=Path(environment.get("VEMOCLAP_APP_SAMPLES") or cls.samples),
            server_url=environment.get("VEMOCLAP_URL") or cls.server_url,
            metrics_url=environment.get("VEMOCLAP_METRICS_URL") or cls.metrics_url,
            upload_limit_mb=_number(environment, "VEMOCLAP_APP_UPLOAD_MB", cls.upload_limit_mb),
            duration_limit_s=_number(environment, "VEMOCLAP_APP_DURATION_S", cls.duration_limit_s),
            keep_days=_number(environment, "VEMOCLAP_APP_KEEP_DAYS", cls.keep_days),
            workers=_number(environment, "VEMOCLAP_APP_WORKERS", cls.workers),
            windows_at_once=_number(environment, "VEMOCLAP_APP_WINDOWS", cls.windows_at_once),
            decode_s=_number(environment, "VEMOCLAP_APP_DECODE_S", cls.decode_s),
            decode_mb=_number(environment, "VEMOCLAP_APP_DECODE_MB", cls.decode_mb),
        )

    @property
    def upload_limit_bytes(self) -> int:
        """The largest upload and download."""
        return self.upload_limit_mb * BYTES_PER_MB

    @property
    def decoding_limits(self) -> DecodingLimits:
        """What decoding one clip may cost."""
        return DecodingLimits(self.decode_s, memory_bytes=self.decode_mb * BYTES_PER_MB)


class SettingsError(ValueError):
    """A variable of the environment cannot be used."""


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise SettingsError(f"${name} is {text!r}; it must be a whole number above zero")
    return int(text)
