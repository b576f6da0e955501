"""Sends a tiny clip through the whole server: does it answer, and who?

A model whose process was killed still counts as ready; only a request tells.
"""

import json
import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from vemoclap_client._status import server_error
from vemoclap_client.analysis import Head
from vemoclap_client.client import BaseClient
from vemoclap_client.contract import (
    ANALYSIS,
    AUDIO,
    ENSEMBLE,
    FRAME_COUNT,
    FRAME_SHORTER_SIDE_MIN_PX,
    FRAMES,
)

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Trial:
    """What the server answered.

    Attributes:
        profile: the weights that served: "embedded" or "paper".
        head: the fusion head that answered.
        took_ms: from sending to the answer.
    """

    profile: str
    head: Head
    took_ms: float


def try_out(url: str, timeout_s: float = TIMEOUT_S) -> Trial:
    """Has the server classify 16 black frames without sound.

    Args:
        url: host:port of the gRPC endpoint.
        timeout_s: longest wait for the answer.

    Raises:
        ServerError: it could not; its kind says why.
    """
    url = BaseClient(url).url
    started = time.perf_counter()
    try:
        with closing(triton.InferenceServerClient(url)) as client:
            answer = client.infer(
                ENSEMBLE,
                _black_clip(),
                outputs=[triton.InferRequestedOutput(ANALYSIS)],
                client_timeout=timeout_s,
            )
    except InferenceServerException as error:
        raise server_error(error, url, timeout_s, connected=False) from error
    took_ms = (time.perf_counter() - started) * 1000
    analysis = json.loads(answer.as_numpy(ANALYSIS)[0, 0])
    return Trial(analysis["profile"], Head(**analysis["head"]), took_ms)


def _black_clip() -> list[triton.InferInput]:
    side_px = FRAME_SHORTER_SIDE_MIN_PX
    frames = np.zeros((1, FRAME_COUNT, side_px, side_px, 3), np.uint8)
    silence = np.zeros((1, 0), np.float32)
    inputs = [
        triton.InferInput(FRAMES, list(frames.shape), "UINT8"),
        triton.InferInput(AUDIO, list(silence.shape), "FP32"),
    ]
    for tensor, values in zip(inputs, (frames, silence), strict=True):
        tensor.set_data_from_numpy(values)
    return inputs
