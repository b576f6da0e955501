"""A clip's windows: where they lie, what is in them, and that each frame is decoded once."""

import tracemalloc
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from tests.clips import OPEN_GOP, Tone, cut, write_clip, write_sound
from vemoclap_client.errors import NoVideoStreamError, VideoNotFoundError
from vemoclap_client.media import windows
from vemoclap_client.media._audio import decode_audio
from vemoclap_client.media._scaling import Scaler
from vemoclap_client.media.container import VideoFile
from vemoclap_client.media.video import OpenVideo, decode, decode_frames, open_pictures, open_video
from vemoclap_client.media.windows import (
    DecodedWindow,
    WindowTimes,
    check_lengths,
    decode_windows,
    plan_windows,
)

NAN = float("nan")

KINDS: dict[str, dict[str, Any]] = {
    "closed.mp4": {"b_frames": 3},
    "open264.ts": {"options": OPEN_GOP["libx264"], "b_frames": 3},
    "open265.mkv": {"codec": "libx265", "options": OPEN_GOP["libx265"]},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "late.mkv": {"b_frames": 2, "start_s": 1.5},
    "intra_refresh.mp4": {"options": {"preset": "fast", "x264-params": "intra-refresh=1"}},
    "raw.h264": {"b_frames": 2},
    "variable_rate.mp4": {"b_frames": 2, "times_ms": [int(33 * i**1.2) for i in range(60)]},
}

DECEPTIVE = ("intra_refresh.mp4",)
"""Those with keyframes that are none."""


@pytest.mark.parametrize(
    ("duration_s", "window_s", "hop_s", "times"),
    [
        ("20", 8, 4, [(0, 8), (4, 12), (8, 16), (12, 20)]),
        ("20", 10, 10, [(0, 10), (10, 20)]),
        # A clip no longer than a window is one.
        ("0.04", 8, 4, [(0, 0.04)]),
        ("8", 8, 4, [(0, 8)]),
        # The rest gets a window that ends with the clip ...
        ("9", 8, 4, [(0, 8), (1, 9)]),
        ("22.5", 8, 4, [(0, 8), (4, 12), (8, 16), (12, 20), (14.5, 22.5)]),
        ("2.25", 1, 0.5, [(0, 1), (0.5, 1.5), (1, 2), (1.25, 2.25)]),
        # ... or lengthens the last one, if it is short.
        ("8.9", 8, 4, [(0, 8.9)]),
        ("20.9", 8, 4, [(0, 8), (4, 12), (8, 16), (12, 20.9)]),
        ("2.2", 1, 0.5, [(0, 1), (0.5, 1.5), (1, 2.2)]),
    ],
)
def test_where_windows_lie(
    duration_s: str, window_s: float, hop_s: float, times: list[tuple[float, float]]
) -> None:
    planned = plan_windows(Fraction(duration_s), window_s, hop_s)
    assert [(float(window.start_s), float(window.end_s)) for window in planned] == times


def test_lengths_are_the_decimal_numbers_that_they_look_like() -> None:
    planned = plan_windows(Fraction(12), 1.2, 0.3)
    assert len(planned) == 37
    assert planned[-1] == WindowTimes(Fraction("10.8"), Fraction(12))


@pytest.mark.parametrize(("window_s", "hop_s"), [(8, 4), (1, 1), (1, 0.25), (7.3, 2.1), (600, 40)])
def test_windows_cover_the_clip(window_s: float, hop_s: float) -> None:
    for duration in (Fraction(i * i, 7) + Fraction(1, 90_000) for i in range(1, 90)):
        planned = plan_windows(duration, window_s, hop_s)
        assert planned[0].start_s == 0
        assert planned[-1].end_s == duration
        for earlier, later in pairwise(planned):
            assert earlier.start_s < later.start_s <= earlier.end_s < later.end_s
        for times in planned:
            length_s = times.end_s - times.start_s
            assert min(duration, Fraction(str(window_s))) <= length_s < window_s + 1


@pytest.mark.parametrize(
    ("window_s", "hop_s"),
    [(0.5, 0.5), (601, 100), (8, 9), (8, 0.4), (1, 0.1), (8, 0), (8, -1), (NAN, 1), (8, NAN)],
)
def test_impossible_lengths_are_refused(window_s: float, hop_s: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must (last|begin)"):
        check_lengths(window_s, hop_s)
    with pytest.raises(ValueError, match=r"must (last|begin)"):
        next(decode_windows(tmp_path / "clip.mp4", window_s, hop_s))


@contextmanager
def watched_pictures(file: VideoFile) -> Iterator[OpenVideo]:
    with open_pictures(file) as video:
        WATCHED.append(video)
        yield video


WATCHED: list[OpenVideo] = []


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_those_of_decoding_each_window_and_decoded_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / name, **{"seconds": 5, **KINDS[name]})
    monkeypatch.setattr(windows, "open_pictures", watched_pictures)
    found = list(decode_windows(path, 2, 0.7))
    video = WATCHED.pop()
    planned = plan_windows(video.index.duration_s, 2, 0.7)
    assert len(planned) > 3
    for decoded, times in zip(found, planned, strict=True):
        alone = decode_frames(path, times.frames_s())
        np.testing.assert_array_equal(decoded.clip.frames, alone.images)
        assert decoded.clip.frame_times_s == alone.times_s
        assert (decoded.clip.width, decoded.clip.height) == (alone.width, alone.height)
        assert decoded.clip.warnings == ()
    # 2 s windows every 0.7 s look at nearly every frame of the 125 at 25 Hz.
    frames = 60 if "times_ms" in KINDS[name] else 125
    # Where a keyframe proves false on the way, decoding starts over, once.
    passes = 2 if name in DECEPTIVE else 1
    assert video.statistics.frames_decoded <= passes * frames + 3


def test_windows_know_their_move_to(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=5)
    found = list(decode_windows(path, 2, 1.5))
    assert [(s.number, s.count, s.start_s, s.end_s, s.clip_duration_s) for s in found] == [
        (0, 3, 0, 2, 5),
        (1, 3, 1.5, 3.5, 5),
        (2, 3, 3, 5, 5),
    ]
    assert [s.clip.duration_s for s in found] == [2, 2, 2]


def test_a_short_clip_is_decoded_as_ever(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=2, sound=Tone(seconds=2.3))
    (only,) = decode_windows(path, 8, 4)
    expected = decode(path)
    np.testing.assert_array_equal(only.clip.frames, expected.frames)
    np.testing.assert_array_equal(only.clip.audio, expected.audio)
    assert only.clip.frame_times_s == expected.frame_times_s
    assert (only.start_s, only.end_s) == (0, 2)


@pytest.mark.parametrize(
    ("name", "tone"),
    [
        ("aac.mp4", Tone(seconds=6)),
        ("late.mkv", Tone(seconds=4, start_s=1.3)),
        ("stereo.mkv", Tone((300, 700), seconds=6, rate_hz=48_000, layout="stereo", codec="flac")),
        ("long.mkv", Tone(seconds=9, codec="flac")),
    ],
)
def test_sound_is_cut_from_what_decoding_it_all_gives(
    name: str, tone: Tone, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / name, seconds=6, size=(16, 16), sound=tone)
    with open_video(path) as video:
        whole = decode_audio(path, video.index.start_s).samples
    found = list(decode_windows(path, 2, 0.9))
    assert len(found) == 5
    for decoded in found:
        first, end = round(decoded.start_s * 16_000), round(decoded.end_s * 16_000)
        np.testing.assert_array_equal(decoded.clip.audio, whole[first:end])
        assert decoded.clip.audio.size > 0


def test_windows_after_the_sounds_end_say_so(tmp_path: Path) -> None:
    tone = Tone(seconds=2.5, codec="flac", rate_hz=16_000)
    path = write_clip(tmp_path / "clip.mkv", seconds=6, size=(16, 16), sound=tone)
    found = [decoded.clip for decoded in decode_windows(path, 2, 1)]
    assert [clip.audio.size for clip in found] == [32_000, 24_000, 8_000, 0, 0]
    reason = "the sound track ends before this window begins"
    assert [clip.audio_absent_reason for clip in found] == [None, None, None, reason, reason]


def test_a_silent_file_says_so_in_every_window(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=6, size=(16, 16))
    reasons = [decoded.clip.audio_absent_reason for decoded in decode_windows(path, 2, 2)]
    assert reasons == ["the file has no sound track"] * 3


def test_a_clip_cut_in_the_middle_gives_what_is_there(tmp_path: Path) -> None:
    whole = write_clip(
        tmp_path / "whole.mp4",
        seconds=12,
        sound=Tone(seconds=12),
        container_options={"movflags": "faststart"},
    )
    found = list(decode_windows(cut(whole, tmp_path / "cut.mp4", keep=0.5), 2, 1))
    last = found[-1]
    assert 3 < last.end_s < 9
    assert last.end_s == last.clip_duration_s
    assert any("of the 12.0 s its header states" in said for said in last.clip.warnings)


def peaks(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Bytes and scaled frames held at most while a clip's windows pass by."""
    alive, most, scale = 0, 0, Scaler.scale

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def counted(self: Scaler, frame: VideoFrame) -> NDArray[np.uint8]:
        nonlocal alive, most
        image = scale(self, frame)
        alive, most = alive + 1, max(most, alive + 1)
        weakref.finalize(image, gone)
        return image

    monkeypatch.setattr(Scaler, "scale", counted)
    tracemalloc.start()
    try:
        for _ in decode_windows(path, 2, 1):
            pass
        return tracemalloc.get_traced_memory()[1], most
    finally:
        tracemalloc.stop()
        monkeypatch.undo()


def test_memory_does_not_grow_with_the_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for seconds in (8, 96):
        tone = Tone(seconds=seconds, codec="flac", rate_hz=16_000)
        path = tmp_path / f"{seconds}.mkv"
        write_clip(path, seconds=seconds, fps=8, size=(16, 16), gop=8, sound=tone)
        found.append(peaks(path, monkeypatch))
    (short_bytes, short_frames), (long_bytes, long_frames) = found
    # The sound of 96 s is 6 MB.
    assert long_bytes < short_bytes + 2_000_000
    # Each window has 16 frames; 8 of them are also those of the next.
    assert long_frames <= short_frames <= 32


def test_nothing_stays_open(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=5, sound=Tone(seconds=5))
    before = set(Path("/proc/self/fd").iterdir())
    list(decode_windows(path, 2, 1))
    with closing(decode_windows(path, 2, 1)) as begun:
        assert isinstance(next(begun), DecodedWindow)
        assert set(Path("/proc/self/fd").iterdir()) > before
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_bad_files_are_the_usual_errors(tmp_path: Path) -> None:
    with pytest.raises(VideoNotFoundError):
        next(decode_windows(tmp_path / "missing.mp4", 2, 1))
    sound_only = write_sound(tmp_path / "sound.mp3", Tone(codec="libmp3lame"))
    with pytest.raises(NoVideoStreamError):
        next(decode_windows(sound_only, 2, 1))
