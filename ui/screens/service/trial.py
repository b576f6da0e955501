"""Sends a tiny clip through the whole server: does it answer, and with which head?

A model whose process was killed still counts as ready; only a request shows that it is not.
"""

import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import tritonclient.grpc as triton

from vemoclap_client.analysis import Analysis, Head
from vemoclap_client.channels import connection
from vemoclap_client.client import BaseClient
from vemoclap_client.contract import ANALYSIS, FRAME_COUNT, FRAME_SHORTER_SIDE_MIN_PX
from vemoclap_client.documents import parse_json
from vemoclap_client.media.video import DecodedClip
from vemoclap_client.requests import build_request
from vemoclap_client.sending import send

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


def send_test_clip(url: str, timeout_s: float = TIMEOUT_S) -> Trial:
    """Has the server classify 16 black frames without sound.

    Args:
        url: host:port of the gRPC endpoint; of several, one is asked.
        timeout_s: longest wait for the answer.

    Raises:
        ServerError: it could not; its kind says why.
        DocumentError: app and server are of two releases.
    """
    url = BaseClient(url).url
    started = time.perf_counter()
    with closing(triton.InferenceServerClient(**connection(url))) as client:
        request = build_request(_black_clip(), [ANALYSIS])
        answer = send(client, request, url, timeout_s, connected=False)
    took_ms = (time.perf_counter() - started) * 1000
    analysis = parse_json(answer.as_numpy(ANALYSIS)[0, 0], Analysis, ANALYSIS)
    return Trial(analysis.profile, analysis.head, took_ms)


def _black_clip() -> DecodedClip:
    side_px = FRAME_SHORTER_SIDE_MIN_PX
    return DecodedClip(
        frames=np.zeros((FRAME_COUNT, side_px, side_px, 3), np.uint8),
        frame_times_s=(0.0,) * FRAME_COUNT,
        audio=np.zeros(0, np.float32),
        audio_absent_reason="a test clip has no sound",
        duration_s=0.0,
        width=side_px,
        height=side_px,
        warnings=(),
    )
