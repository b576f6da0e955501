"""Times of pictures and sound where the container states them badly or not at all."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.clips import Tone, read_number, write_clip
from vemoclap_client.errors import EncryptedVideoError
from vemoclap_client.media.parts import SpeechPiece, decode_parts
from vemoclap_client.media.video import decode, decode_frames

B_FRAMES = {"preset": "fast", "x264-params": "bframes=3:b-adapt=0:scenecut=0"}


def write_avi(path: Path, fps: int, seconds: float, skipped: frozenset[int] = frozenset()) -> Path:
    """An AVI with B-frames and only decoding times; where some are skipped, null frames."""
    source = write_clip(
        path.with_suffix(".h264"), fps=fps, seconds=seconds, options=B_FRAMES, b_frames=3
    )
    with av.open(str(source)) as container, av.open(str(path), "w") as output:
        copied = output.add_stream_from_template(container.streams.video[0])
        copied.time_base = Fraction(1, fps)
        number = 0
        for packet in container.demux(video=0):
            if not packet.size:
                continue
            while number in skipped:
                number += 1
            packet.pts = packet.dts = number
            packet.duration = 1
            packet.time_base = Fraction(1, fps)
            packet.stream = copied
            output.mux(packet)
            number += 1
    return path


def test_b_frames_in_avi_have_their_times(tmp_path: Path) -> None:
    found = decode_frames(write_avi(tmp_path / "clip.avi", fps=25, seconds=4))
    assert found.duration_s == pytest.approx(4.0, abs=0.05)
    assert found.times_s == pytest.approx([i * 0.25 for i in range(16)], abs=0.021)
    shown = [read_number(image) for image in found.images]
    assert shown == [round(time_s * 25) for time_s in found.times_s]


def test_null_frames_in_avi_take_their_time(tmp_path: Path) -> None:
    skipped = frozenset(range(50, 100))
    found = decode_frames(write_avi(tmp_path / "clip.avi", fps=25, seconds=4, skipped=skipped))
    assert found.duration_s == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize("fps", [10, 30, 60])
def test_a_raw_stream_has_the_rate_that_it_states(tmp_path: Path, fps: int) -> None:
    found = decode_frames(write_clip(tmp_path / "raw.h264", fps=fps, seconds=2))
    assert found.duration_s == pytest.approx(2.0)
    assert read_number(found.images[8]) == fps


def test_a_raw_stream_without_a_rate_is_warned_about(tmp_path: Path) -> None:
    silent = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:vui-timing-info=0"}
    hevc = write_clip(tmp_path / "raw.hevc", codec="libx265", fps=30, seconds=2, options=silent)
    mjpeg = write_clip(
        tmp_path / "raw.mjpeg", codec="mjpeg", fps=30, seconds=2, pixel_format="yuvj420p"
    )
    for path in (hevc, mjpeg):
        found = decode_frames(path)
        assert found.duration_s == pytest.approx(60 / 25), path
        assert [warning for warning in found.warnings if "25 frames a second" in warning], path


@pytest.mark.parametrize(
    ("name", "codec"), [("raw.h264", "libx264"), ("raw.hevc", "libx265"), ("clip.mp4", "libx264")]
)
def test_a_stated_rate_is_not_warned_about(name: str, codec: str, tmp_path: Path) -> None:
    assert decode_frames(write_clip(tmp_path / name, codec=codec, fps=30)).warnings == ()


@pytest.mark.parametrize("muted_s", [5, 78])
def test_a_gap_in_the_sound_stays_one(tmp_path: Path, muted_s: int) -> None:
    """Sound for a second, none while somebody was muted, then sound again."""
    path = tmp_path / "meeting.mkv"
    clip = write_clip(tmp_path / "clip.mkv", fps=1, gop=200, seconds=muted_s + 4, sound=Tone())
    with av.open(str(clip)) as container, av.open(str(path), "w") as output:
        copies = {
            stream.index: output.add_stream_from_template(stream) for stream in container.streams
        }
        for packet in container.demux():
            if not packet.size or packet.pts is None:
                continue
            is_late = packet.stream.type == "audio" and packet.pts * packet.time_base >= 1
            shift = round(muted_s / packet.time_base) if is_late else 0
            packet.pts += shift
            packet.dts = packet.pts if is_late else packet.dts
            packet.stream = copies[packet.stream_index]
            output.mux(packet)
    decoded = decode(path)
    audio = decoded.audio
    assert f"the sound pauses for {muted_s} s in all" in " ".join(decoded.warnings)
    loud = [
        bool(np.abs(audio[s * 16_000 : (s + 1) * 16_000]).max() > 0.1)
        for s in range(audio.size // 16_000)
    ]
    assert loud[0]
    assert not any(loud[2:muted_s])
    assert loud[muted_s + 1]
    last = [part for part in decode_parts(path, 3, 3) if isinstance(part, SpeechPiece)][-1]
    assert np.abs(last.samples).max() > 0.1


def test_encrypted_pictures_are_said_to_be(tmp_path: Path) -> None:
    encryption = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    path = write_clip(tmp_path / "clip.mp4", container_options=encryption)
    with pytest.raises(EncryptedVideoError, match="DRM"):
        decode(path)
