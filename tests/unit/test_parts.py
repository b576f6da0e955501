"""A clip's parts: each frame and each second of sound once, and which of them windows need."""

import os
import signal
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from tests.clips import Tone, cut, write_clip, write_sound
from tests.launching import wait_until
from tests.unit.test_video import NOT_SEEKABLE, SEEKABLE, open_files
from vemoclap_client.audio_windows import WINDOW_SAMPLES, window_starts
from vemoclap_client.errors import NoVideoStreamError, UndecodableVideoError, VideoNotFoundError
from vemoclap_client.media import _reader, _sound_parts, parts
from vemoclap_client.media._audio import decode_audio
from vemoclap_client.media._scaling import Scaler
from vemoclap_client.media._sound_parts import AudioWindows, SpeechPiece
from vemoclap_client.media.container import VideoFile
from vemoclap_client.media.parts import DecodedWindow, FrameBlock, decode_parts
from vemoclap_client.media.video import OpenVideo, decode, decode_frames, open_pictures, open_video
from vemoclap_client.media.windows import plan_windows

KINDS = ("closed.mp4", "open264.ts", "open265.mkv", "vp9.webm", "mpeg4.avi", "late.mkv")
KINDS += ("intra_refresh.mp4", "raw.h264", "variable_rate.mp4")

CLIPS = {**SEEKABLE, **NOT_SEEKABLE}

DECEPTIVE = ("intra_refresh.mp4",)
"""Those with keyframes that are none."""


@dataclass
class Gathered:
    """The parts of a clip, and its windows."""

    images: list[NDArray[np.uint8]] = field(default_factory=list)
    sound: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    pieces: list[SpeechPiece] = field(default_factory=list)
    windows: list[DecodedWindow] = field(default_factory=list)

    def add(self, part: parts.Part | DecodedWindow) -> None:
        """Keeps a part; one that a window needs comes before it, and none twice."""
        match part:
            case FrameBlock():
                assert (part.number, len(part.images)) == (len(self.images) / 16, 16)
                self.images.extend(part.images)
            case AudioWindows():
                assert not self.sound.keys() & set(part.starts)
                self.sound |= zip(part.starts, part.samples, strict=True)
            case SpeechPiece():
                assert part.first == (self.pieces[-1].end if self.pieces else 0)
                assert len(part.samples) == part.end - part.first
                self.pieces.append(part)
            case DecodedWindow():
                assert part.frames[-1] < len(self.images)
                assert set(part.sound.audio_windows) <= self.sound.keys()
                if "speech" not in part.sound.absent and self.pieces:
                    sound_s = self.pieces[-1].end / 16_000
                    assert sound_s >= part.end_s or self.pieces[-1].samples.size < 20 * 16_000
                self.windows.append(part)

    def images_of(self, window: DecodedWindow) -> NDArray[np.uint8]:
        """The window's 16 frames."""
        return np.stack([self.images[frame] for frame in window.frames])


def gather(path: Path, window_s: float, hop_s: float) -> Gathered:
    """All parts and windows of a clip."""
    gathered = Gathered()
    for part in decode_parts(path, window_s, hop_s):
        gathered.add(part)
    return gathered


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
    path = write_clip(tmp_path / name, **{"seconds": 5, **CLIPS[name]})
    monkeypatch.setattr(parts, "open_pictures", watched_pictures)
    found = gather(path, 2, 0.7)
    video = WATCHED.pop()
    planned = plan_windows(video.index.duration_s, 2, 0.7)
    assert len(planned) > 3
    shown_s: set[float] = set()
    for window, times in zip(found.windows, planned, strict=True):
        alone = decode_frames(path, times.frames_s())
        np.testing.assert_array_equal(found.images_of(window), alone.images)
        assert window.frame_times_s == alone.times_s
        assert window.warnings == ()
        shown_s.update(alone.times_s)
    # Each frame is in one block only; the last block is filled up with its last frame.
    assert len(found.images) == -(-len(shown_s) // 16) * 16
    # 2 s windows every 0.7 s look at nearly every frame of the 125 at 25 Hz.
    frames = 60 if "times_ms" in CLIPS[name] else 125
    # Where a keyframe proves false on the way, decoding starts over, once.
    passes = 2 if name in DECEPTIVE else 1
    assert video.statistics.frames_decoded <= passes * frames + 3


def test_half_overlapping_windows_share_frames_and_sound(tmp_path: Path) -> None:
    tone = Tone(seconds=27, codec="flac", rate_hz=16_000)
    path = write_clip(tmp_path / "clip.mkv", seconds=27, fps=16, size=(16, 16), sound=tone)
    found = gather(path, 9, 4.5)
    assert [(w.number, w.count, w.start_s, w.end_s, w.clip_duration_s) for w in found.windows] == [
        (number, 5, 4.5 * number, 4.5 * number + 9, 27) for number in range(5)
    ]
    assert [window.frames for window in found.windows] == [
        tuple(range(8 * number, 8 * number + 16)) for number in range(5)
    ]
    assert len(found.images) == 48
    starts = [tuple(72_000 * n + 24_000 * i for i in range(4)) for n in range(5)]
    assert [window.sound.audio_windows for window in found.windows] == starts
    assert sorted(found.sound) == sorted({start for each in starts for start in each})


def test_in_a_slow_clip_a_frame_is_there_once(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=6, fps=2, size=(16, 16))
    found = gather(path, 2, 1)
    assert len(found.images) == 16
    assert {frame for window in found.windows for frame in window.frames} == set(range(12))
    # The frame nearest to the last of a window's times is that of its end.
    assert [len(set(window.frames)) for window in found.windows] == [5, 5, 5, 5, 4]


def test_what_is_decoded_of_a_clip_of_one_window_is_what_decoding_it_gives(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=4, sound=Tone(seconds=4.6))
    found, expected = gather(path, 8, 4), decode(path)
    (window,), (piece,) = found.windows, found.pieces
    np.testing.assert_array_equal(found.images_of(window), expected.frames)
    np.testing.assert_array_equal(piece.samples, expected.audio)
    assert window.frame_times_s == expected.frame_times_s
    assert window.sound.audio_windows == tuple(window_starts(expected.audio.size))
    assert (window.start_s, window.end_s) == (0, 4)


@pytest.mark.parametrize(
    ("name", "tone"),
    [
        ("aac.mp4", Tone(seconds=8)),
        ("late.mkv", Tone(seconds=5, start_s=1.3)),
        ("stereo.mkv", Tone((300, 700), seconds=8, rate_hz=48_000, layout="stereo", codec="flac")),
        ("long.mkv", Tone(seconds=11, codec="flac")),
    ],
)
def test_sound_is_cut_from_what_decoding_it_all_gives(
    name: str, tone: Tone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / name, seconds=8, size=(16, 16), sound=tone)
    with open_video(path) as video:
        whole = decode_audio(path, video.index.start_s).samples[: 8 * 16_000]
    monkeypatch.setattr(_sound_parts, "PIECE_MIN_S", 2)
    monkeypatch.setattr(_sound_parts, "PIECE_MAX_S", 3)
    found = gather(path, 4, 1.3)
    np.testing.assert_array_equal(np.concatenate([one.samples for one in found.pieces]), whole)
    assert all(2 * 16_000 <= len(one.samples) <= 3 * 16_000 for one in found.pieces[:-1])
    for window in found.windows:
        first, end = round(window.start_s * 16_000), round(window.end_s * 16_000)
        own = first + window_starts(len(whole[first:end]))
        assert window.sound.audio_windows == tuple(own)
        for start in own:
            expected = whole[start : start + WINDOW_SAMPLES]
            np.testing.assert_array_equal(found.sound[start], expected)


def test_a_piece_ends_in_the_last_of_the_quietest_moments() -> None:
    loud = np.random.default_rng(0).uniform(-1, 1, 30 * 16_000).astype(np.float32)
    for first_s, end_s in ((5, 7), (21, 21.3), (24, 25)):
        loud[int(first_s * 16_000) : int(end_s * 16_000)] = 0
    assert 24.2 * 16_000 <= _sound_parts.quietest(loud) <= 25 * 16_000 - 3_000
    assert _sound_parts.quietest(np.zeros(30 * 16_000, np.float32)) == 29.8 * 16_000


def test_windows_after_the_sounds_end_say_so(tmp_path: Path) -> None:
    tone = Tone(seconds=5.5, codec="flac", rate_hz=16_000)
    path = write_clip(tmp_path / "clip.mkv", seconds=10, size=(16, 16), sound=tone)
    found = gather(path, 4, 2)
    ended, short = (
        "the sound track ends before this window begins",
        "the sound is not longer than 3 s",
    )
    assert [window.sound.absent for window in found.windows] == [
        {},
        {},
        {"audio": short},
        {"audio": ended, "speech": ended},
    ]
    assert [len(window.sound.audio_windows) for window in found.windows] == [1, 1, 0, 0]


def test_a_silent_file_says_so_in_every_window(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=6, size=(16, 16))
    found = gather(path, 2, 2)
    reason = "the file has no sound track"
    assert [window.sound.absent for window in found.windows] == [
        {"audio": reason, "speech": reason}
    ] * 3
    assert (found.pieces, found.sound) == ([], {})


def test_frames_before_damage_make_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=8, size=(16, 16))
    frames_at = OpenVideo.frames_at

    def damaged(self: OpenVideo, times_s: list[float]) -> Iterator[object]:
        for number, frame in enumerate(frames_at(self, times_s)):
            if number == 3 * 16 + 5:
                raise UndecodableVideoError("the rest is damaged")
            yield frame

    monkeypatch.setattr(OpenVideo, "frames_at", damaged)
    gathered = Gathered()
    with pytest.raises(UndecodableVideoError):
        for part in decode_parts(path, 2, 2):
            gathered.add(part)
    assert len(gathered.windows) == 3


def test_a_clip_cut_in_the_middle_gives_what_is_there(tmp_path: Path) -> None:
    whole = write_clip(
        tmp_path / "whole.mp4",
        seconds=12,
        sound=Tone(seconds=12),
        container_options={"movflags": "faststart"},
    )
    last = gather(cut(whole, tmp_path / "cut.mp4", keep=0.5), 2, 1).windows[-1]
    assert 3 < last.end_s < 9
    assert last.end_s == last.clip_duration_s
    assert any("of the 12.0 s its header states" in said for said in last.warnings)


def peaks(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Bytes and scaled frames held at most while a clip's parts pass by."""
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
        for _ in decode_parts(path, 2, 1):
            pass
        return tracemalloc.get_traced_memory()[1], most
    finally:
        tracemalloc.stop()
        monkeypatch.undo()


def test_memory_does_not_grow_with_the_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for seconds in (40, 120):
        tone = Tone(seconds=seconds, codec="flac", rate_hz=16_000)
        path = tmp_path / f"{seconds}.mkv"
        write_clip(path, seconds=seconds, fps=8, size=(16, 16), gop=8, sound=tone)
        found.append(peaks(path, monkeypatch))
    (short_bytes, short_frames), (long_bytes, long_frames) = found
    # Another 80 s of sound are 5 MB.
    assert long_bytes < short_bytes + 2_000_000
    # Those of a block, and one more.
    assert long_frames <= short_frames <= 17


def test_nothing_stays_open(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=5, sound=Tone(seconds=5))
    before = set(Path("/proc/self/fd").iterdir())
    list(decode_parts(path, 2, 1))
    with closing(decode_parts(path, 2, 1)) as begun:
        assert isinstance(next(begun), SpeechPiece)
        assert set(Path("/proc/self/fd").iterdir()) > before
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_bad_files_are_the_usual_errors(tmp_path: Path) -> None:
    with pytest.raises(VideoNotFoundError):
        next(decode_parts(tmp_path / "missing.mp4", 2, 1))
    sound_only = write_sound(tmp_path / "sound.mp3", Tone(codec="libmp3lame"))
    with pytest.raises(NoVideoStreamError):
        next(decode_parts(sound_only, 2, 1))


@pytest.mark.parametrize("call", ["pread", "fstat"], ids=["reading", "seeking"])
@pytest.mark.parametrize(
    "work", [decode, lambda path: list(decode_parts(path, 2, 1))], ids=["clip", "parts"]
)
def test_ctrl_c_while_ffmpeg_reads_ends_the_decoding(
    work: Callable[[Path], object], call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "clip.mp4", sound=Tone())
    happened = threading.Event()

    def interrupt(*arguments: int) -> object:
        if not happened.is_set():
            happened.set()
            os.kill(os.getpid(), signal.SIGINT)
        return getattr(os, call)(*arguments)

    monkeypatch.setattr(_reader, call, interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            work(path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert happened.is_set()
    wait_until(lambda: not open_files(tmp_path))
