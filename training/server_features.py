"""Asks the running server for a clip's features, and for the profile that they are of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import local
from typing import Any

import tritonclient.grpc as triton

from training.features import Rows
from vemoclap_client.analysis import Analysis
from vemoclap_client.channels import connection
from vemoclap_client.contract import ANALYSIS, FEATURES, LENGTHS
from vemoclap_client.documents import parse_json
from vemoclap_client.limited import LimitedDecoder
from vemoclap_client.media.container import check_file
from vemoclap_client.requests import Response, build_request, parse_features
from vemoclap_client.sending import send


@dataclass(frozen=True)
class ClipFeatures:
    """A clip's features, not padded, and the profile of the encoders."""

    profile: str
    features: dict[str, Rows]


class FeatureServer:
    """Extracts features. Every thread that asks has a connection of its own."""

    def __init__(self, url: str, timeout_s: float, decoder: LimitedDecoder | None = None) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: host:port of the server's gRPC endpoint.
            timeout_s: longest wait for an answer.
            decoder: of the clips; default: one with the usual limits, since a data set is mostly
                what strangers have put on the web.
        """
        self.url = url
        self.timeout_s = timeout_s
        self.decoder = decoder or LimitedDecoder()
        self._connections = local()

    def extract(self, video: Path) -> ClipFeatures:
        """Decode a clip on this machine and have the server encode it.

        Raises:
            VideoError: the file cannot be decoded, or needs more than the decoder's limits.
            ServerError: the server could not answer.
        """
        check_file(video)
        clip = self.decoder.decode(video).clip
        request = build_request(clip, (ANALYSIS, LENGTHS, *FEATURES.values()))
        response = send(self._connection(), request, self.url, self.timeout_s, connected=False)
        return _parse(response)

    def _connection(self) -> Any:
        if not hasattr(self._connections, "client"):
            self._connections.client = triton.InferenceServerClient(**connection(self.url))
        return self._connections.client


def _parse(response: Response) -> ClipFeatures:
    analysis = parse_json(response.as_numpy(ANALYSIS)[0, 0], Analysis, ANALYSIS)
    return ClipFeatures(analysis.profile, parse_features(response))
