"""The ensemble for frames as JPEG files: the same answer from a tenth of the bytes."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from tests.launching import Launched
from vemoclap_client import EmotionClient, EmotionResult, contract
from vemoclap_client.media.jpeg import encode_jpeg
from vemoclap_client.media.video import decode
from vemoclap_client.requests import FrameFormat

SILENCE = np.zeros((1, 0), np.float32)


def written_by_ffmpeg(frames: NDArray[np.uint8]) -> NDArray[np.object_]:
    """The frames as FFmpeg's own encoder writes them."""
    encoder = CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.height, encoder.width = frames.shape[1:3]
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1)
    packets = []
    for number, frame in enumerate(frames):
        picture = VideoFrame.from_ndarray(frame, format="rgb24")
        picture.pts = number
        packets += encoder.encode(picture)
    files = np.empty(len(frames), object)
    files[:] = [bytes(packet) for packet in [*packets, *encoder.encode(None)]]
    return files


def ask(server: Launched, files: Any, audio: NDArray[np.float32] = SILENCE) -> NDArray[np.float32]:
    """The probabilities for frames as files."""
    clip = {contract.JPEG_FRAMES: np.array([list(files)], object), contract.AUDIO: audio}
    answer = server.infer(contract.JPEG_ENTRY, clip, client_timeout=60)
    return np.asarray(answer.as_numpy(contract.PROBABILITIES)[0])


def test_the_result_is_nearly_that_of_raw_frames(
    server: Launched, client: EmotionClient, samples: Path
) -> None:
    raw = client.classify(samples / "portrait.mp4")
    with EmotionClient(server.url, frame_format=FrameFormat.JPEG) as other:
        result = other.classify(samples / "portrait.mp4")
        *_, streamed = other.stream(samples / "portrait.mp4")
    assert isinstance(streamed, EmotionResult)
    for each in (result, streamed):
        assert each.emotion == raw.emotion
        assert len(each.faces) == len(raw.faces)
        assert each.probabilities == pytest.approx(raw.probabilities, abs=0.02)


def test_files_that_ffmpeg_writes_are_taken(server: Launched, samples: Path) -> None:
    clip = decode(samples / "portrait.mp4")
    ours, others = (ask(server, encode(clip.frames)) for encode in (encode_jpeg, written_by_ffmpeg))
    np.testing.assert_allclose(ours, others, atol=0.02)


def test_what_is_no_picture_is_refused_and_harms_nobody(server: Launched, samples: Path) -> None:
    files = encode_jpeg(decode(samples / "portrait.mp4").frames)
    for _ in range(3):
        with pytest.raises(InferenceServerException, match="frame 7 of 8 bytes is no JPEG file"):
            ask(server, [*files[:7], b"nonsense", *files[8:]])
    assert ask(server, files).argmax() == contract.EMOTIONS.index("joy")
