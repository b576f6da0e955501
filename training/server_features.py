"""Asks the running server for a clip's features, and for the profile that they are of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from training.features import Rows
from vemoclap_client import decode
from vemoclap_client._status import server_error
from vemoclap_client.contract import (
    ANALYSIS,
    AUDIO,
    ENSEMBLE,
    FEATURES,
    FRAMES,
    LENGTHS,
    MODALITIES,
)
from vemoclap_client.media.container import check_file


@dataclass(frozen=True)
class Answer:
    """A clip's features, not padded, and the profile of the encoders."""

    profile: str
    features: dict[str, Rows]


class FeatureServer:
    """Extracts features. Every thread that asks has a connection of its own."""

    def __init__(self, url: str, timeout_s: float) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: host:port of the server's gRPC endpoint.
            timeout_s: longest wait for an answer.
        """
        self.url = url
        self.timeout_s = timeout_s
        self._connections = local()

    def extract(self, video: Path) -> Answer:
        """Decode a clip here and have the server encode it.

        Raises:
            VideoError: the file cannot be decoded.
            ServerError: the server could not answer.
        """
        check_file(video)
        clip = decode(video)
        outputs = (ANALYSIS, LENGTHS, *FEATURES.values())
        try:
            answer = self._connection().infer(
                ENSEMBLE,
                [_input(FRAMES, clip.frames), _input(AUDIO, clip.audio)],
                outputs=[triton.InferRequestedOutput(name) for name in outputs],
                client_timeout=self.timeout_s,
            )
        except InferenceServerException as error:
            raise server_error(error, self.url, self.timeout_s, connected=False) from error
        return _read(answer)

    def _connection(self) -> Any:
        if not hasattr(self._connections, "client"):
            self._connections.client = triton.InferenceServerClient(self.url)
        return self._connections.client


def _input(name: str, array: NDArray[Any]) -> Any:
    tensor = triton.InferInput(name, [1, *array.shape], np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array[None])
    return tensor


def _read(answer: Any) -> Answer:
    lengths = dict(zip(MODALITIES, answer.as_numpy(LENGTHS)[0], strict=True))
    rows = {
        modality: np.array(answer.as_numpy(FEATURES[modality])[0, : lengths[modality]])
        for modality in MODALITIES
    }
    return Answer(json.loads(answer.as_numpy(ANALYSIS)[0, 0])["profile"], rows)
