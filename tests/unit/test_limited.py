"""Decoding in a process of its own: the same results and errors, its limits, its locks, its end."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.clips import Tone, cut, repeat_pictures, write_clip, write_sound
from tests.launching import PROJECT, wait_until
from tests.unit.sealed_attempts import ALLOWED, ATTEMPTS
from vemoclap_client import EmotionClient
from vemoclap_client.errors import (
    AudioTrackError,
    DecodingLimitError,
    EmptyVideoError,
    NotAVideoError,
    NoVideoStreamError,
    UndecodableVideoError,
    VideoError,
    VideoNotFoundError,
)
from vemoclap_client.limited import DecodingLimits, LimitedDecoder, _forks
from vemoclap_client.limited._messages import MessageError, read_message
from vemoclap_client.media import _reader
from vemoclap_client.media.parts import DecodedWindow, FrameBlock, decode_parts
from vemoclap_client.media.video import decode

TIMEOUT_S = 30.0
SOUND = Tone(seconds=2.0)


@pytest.fixture(scope="module")
def decoder() -> Iterator[LimitedDecoder]:
    with LimitedDecoder() as limited:
        yield limited


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", sound=SOUND)


def write_long(folder: Path, codec: str) -> Path:
    """1,500 large pictures with one keyframe in all."""
    short = write_clip(folder / "short.mkv", seconds=0.4, size=(1920, 1080), codec=codec)
    return repeat_pictures(short, folder / f"{codec}.mkv", times=150)


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that takes many seconds of processor time."""
    return write_long(tmp_path_factory.mktemp("clips"), "libx265")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of a codec whose decoder says so wherever it is refused memory."""
    return write_long(tmp_path_factory.mktemp("clips"), "mpeg4")


def server_of(decoder: LimitedDecoder) -> psutil.Process:
    decoder.start()
    process = decoder._forks._process
    assert process is not None
    return psutil.Process(process.pid)


def wait_for_no_child(decoder: LimitedDecoder) -> None:
    wait_until(lambda: not server_of(decoder).children(), TIMEOUT_S)


KINDS = [
    ("mp4", "libx264", "aac"),
    ("mov", "mpeg4", "pcm_s16le"),
    ("mkv", "libx265", "flac"),
    ("webm", "libvpx-vp9", "libopus"),
    ("avi", "mjpeg", "mp3"),
    ("ts", "mpeg2video", "mp2"),
    ("gif", "gif", None),
    ("ivf", "libsvtav1", None),
]


@pytest.mark.parametrize(("suffix", "codec", "sound"), KINDS)
def test_what_is_decoded_is_the_same(
    decoder: LimitedDecoder, tmp_path: Path, suffix: str, codec: str, sound: str | None
) -> None:
    rate_hz = 48_000 if sound == "libopus" else 44_100
    pixels = {"mjpeg": "yuvj420p", "gif": "rgb8"}.get(codec, "yuv420p")
    path = write_clip(
        tmp_path / f"clip.{suffix}",
        codec=codec,
        pixel_format=pixels,
        sound=Tone(codec=sound, rate_hz=rate_hz) if sound else None,
    )
    here, there = decode(path), decoder.decode(path).clip
    np.testing.assert_array_equal(there.frames, here.frames)
    np.testing.assert_array_equal(there.audio, here.audio)
    assert there.without_arrays().frame_times_s == here.frame_times_s
    for name in ("audio_absent_reason", "duration_s", "width", "height", "warnings"):
        assert getattr(there, name) == getattr(here, name)
    there.frames[0] = 0  # As of decode: the caller's to change.


def test_parts_are_the_same(decoder: LimitedDecoder, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=8, sound=Tone(seconds=8.0))
    here, there = (list(f(path, 3.0, 1.5)) for f in (decode_parts, decoder.decode_parts))
    assert [type(part) for part in there] == [type(part) for part in here]
    for ours, theirs in zip(here, there, strict=True):
        for name, value in vars(ours).items():
            np.testing.assert_equal(getattr(theirs, name), value)


def test_a_name_may_hold_any_bytes(decoder: LimitedDecoder, clip: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff \n.mp4")
    odd.write_bytes(clip.read_bytes())
    assert decoder.decode(odd).clip.duration_s == 2.0
    odd.write_bytes(b"no video")
    with pytest.raises(NotAVideoError) as caught:
        decoder.decode(odd)
    assert str(odd) in str(caught.value)


def test_errors_are_those_of_decode(
    decoder: LimitedDecoder, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    write_sound(tmp_path / "sound.mp4", SOUND)
    cut(clip, tmp_path / "cut.mp4", 0.5)
    monkeypatch.chdir(tmp_path)  # Relative paths are those of this process, as it is now.
    kinds = {
        "nothing.mp4": VideoNotFoundError,
        "empty.mp4": EmptyVideoError,
        "text.mp4": NotAVideoError,
        "sound.mp4": NoVideoStreamError,
        "cut.mp4": UndecodableVideoError,
    }
    for name, kind in kinds.items():
        with pytest.raises(VideoError) as here:
            decode(name)
        for action in (decoder.decode, decoder.decode_middle_frame):
            with pytest.raises(kind) as there:
                action(name)
            assert type(there.value) is type(here.value)
            assert str(there.value) == str(here.value)
    with pytest.raises(AudioTrackError, match="no sound track 7; there are: 1"):
        decoder.decode(clip, audio_track=7)


def test_too_much_processor_time_is_an_error_that_says_so(endless: Path) -> None:
    with (
        LimitedDecoder(DecodingLimits(processor_s=1)) as decoder,
        pytest.raises(DecodingLimitError, match="more than 1 s of processor time") as caught,
    ):
        list(decoder.decode_parts(endless, 1.0, 0.25))
    assert caught.value.exit_code == 18


def test_too_long_a_wait_is_an_error_that_says_so(endless: Path) -> None:
    with LimitedDecoder(DecodingLimits(wait_s=0.2)) as decoder:
        with pytest.raises(DecodingLimitError, match=r"more than 0\.2 s to decode"):
            decoder.decode(endless)
        wait_for_no_child(decoder)


@pytest.mark.parametrize("megabytes", [5, 10, 20, 30, 40, 50, 60])
def test_too_much_memory_is_an_error_that_says_so(large: Path, megabytes: int) -> None:
    limits = DecodingLimits(memory_bytes=megabytes * 1_000_000, processor_s=10)
    with (
        LimitedDecoder(limits) as decoder,
        pytest.raises(DecodingLimitError, match=r"needs more .*memory"),
    ):
        decoder.decode(large)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_memory_that_is_refused_for_reading_is_an_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Whichever read it is: an error that PyAV got from one could keep a decoder busy for ever."""
    path = write_clip(tmp_path / f"clip.{suffix}", sound=SOUND)
    left = most = 1000

    def read(descriptor: int, size: int, position: int) -> bytes:
        nonlocal left
        left -= 1
        if left < 0:
            raise MemoryError
        return os.pread(descriptor, size, position)

    monkeypatch.setattr(_reader, "pread", read)
    decode(path)
    for allowed in range(most - left):
        left = allowed
        with pytest.raises(DecodingLimitError, match="more memory to decode than there is"):
            decode(path)


FAILING_READS = """
import traceback
from vemoclap_client.media._reader import FileReader

read = FileReader.read


def fail(*_):
    raise MemoryError


FileReader.read = lambda reader, size: fail() if reader.tell() else read(reader, size)
traceback.print_exception = fail
"""


def test_an_error_that_pyav_loses_ends_the_decoder(
    endless: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The server imports what is first on its path.
    (tmp_path / "sitecustomize.py").write_text(FAILING_READS)
    monkeypatch.syspath_prepend(tmp_path)
    with (
        LimitedDecoder(DecodingLimits(processor_s=10)) as decoder,
        pytest.raises(DecodingLimitError, match="more than 1500 MB of memory"),
    ):
        decoder.decode(endless)


def test_a_cancelled_decoder_is_killed(decoder: LimitedDecoder, endless: Path) -> None:
    decoder.start()
    cancel = threading.Event()
    timer = threading.Timer(0.5, cancel.set)
    timer.start()
    with pytest.raises(CancelledError):
        decoder.decode(endless, cancel=cancel)
    wait_for_no_child(decoder)
    with pytest.raises(CancelledError):
        next(decoder.decode_parts(endless, 2.0, 1.0, cancel=cancel))
    timer.join()


def test_parts_that_nobody_wants_end_their_decoder(decoder: LimitedDecoder, endless: Path) -> None:
    parts = decoder.decode_parts(endless, 2.0, 1.0)
    assert isinstance(next(parts), FrameBlock | DecodedWindow)
    assert len(server_of(decoder).children()) == 1
    parts.close()
    wait_for_no_child(decoder)


def test_a_crash_is_an_error_of_the_file(decoder: LimitedDecoder, endless: Path) -> None:
    parts = decoder.decode_parts(endless, 2.0, 1.0)
    next(parts)
    server = server_of(decoder)
    server.children()[0].send_signal(signal.SIGSEGV)
    with pytest.raises(UndecodableVideoError, match=r"crashed \(SIGSEGV\)"):
        list(parts)
    parts = decoder.decode_parts(endless, 2.0, 1.0)
    next(parts)
    server.children()[0].kill()
    with pytest.raises(DecodingLimitError, match="the system ended the process"):
        list(parts)


def test_a_killed_server_of_decoders_is_started_again(clip: Path, endless: Path) -> None:
    with LimitedDecoder() as decoder:
        parts = decoder.decode_parts(endless, 2.0, 1.0)
        next(parts)
        server = server_of(decoder)
        (child,) = server.children()
        server.kill()
        with pytest.raises(UndecodableVideoError, match=r"ended\. Try again"):
            list(parts)
        wait_until(lambda: not child.is_running(), TIMEOUT_S)
        assert decoder.decode(clip).clip.duration_s == 2.0
        again = server_of(decoder)
    assert not again.is_running()


STARTED = """
import time
from vemoclap_client.limited import LimitedDecoder
decoder = LimitedDecoder()
decoder.start()
print(decoder._forks._process.pid, flush=True)
time.sleep(600)
"""


def test_nothing_outlives_a_killed_app() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTED], stdout=subprocess.PIPE) as app:
        assert app.stdout is not None
        server = psutil.Process(int(app.stdout.readline()))
        app.kill()
    wait_until(lambda: not server.is_running(), TIMEOUT_S)


def test_many_files_at_once(decoder: LimitedDecoder, clip: Path) -> None:
    results: list[float] = []
    threads = [
        threading.Thread(target=lambda: results.append(decoder.decode(clip).clip.duration_s))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert results == [2.0] * 8


def test_the_decoders_know_no_secrets(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEMOCLAP_SECRET", "hidden")
    with LimitedDecoder() as decoder, closing(decoder.decode_parts(endless, 2.0, 1.0)) as parts:
        next(parts)
        (child,) = server_of(decoder).children()
        for process in (child, server_of(decoder)):
            assert set(process.environ()) == {*_forks.ENVIRONMENT, "PYTHONPATH"}
        status = Path(f"/proc/{child.pid}/status").read_text()
        assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status
        # The file, its messages, and what all processes have; neither the server's nor another's.
        targets = [Path(f"/proc/{child.pid}/fd/{fd.name}").readlink() for fd in _files(child.pid)]
        assert sum(str(target).startswith("socket:") for target in targets) == 1
        assert [target for target in targets if target == endless] == [endless]


def _files(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/fd").iterdir())


@pytest.fixture(scope="module")
def attempts() -> dict[str, int]:
    """What came of each attempt: an error number, or 0."""
    command = [sys.executable, "-m", "tests.unit.sealed_attempts"]
    found: dict[str, int] = json.loads(subprocess.check_output(command, cwd=PROJECT))
    return found


@pytest.mark.parametrize("action", ATTEMPTS)
def test_a_sealed_process_can_do_nothing_else(action: str, attempts: dict[str, int]) -> None:
    assert attempts[action] == (0 if action in ALLOWED else errno.EPERM)


def test_a_missing_lock_is_said_aloud(
    clip: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The server imports what is first on its path.
    (tmp_path / "sitecustomize.py").write_text(
        "from vemoclap_client.limited import _seal\n_seal.LIBRARY = 'libnothing.so'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with LimitedDecoder() as decoder:
        assert decoder.decode(clip).clip.duration_s == 2.0
    assert "libnothing.so" in caplog.text and "without a lock" in caplog.text


@pytest.mark.parametrize(
    "header",
    [
        b"\xff\xff\xff\xff",
        b"\x05\x00\x00\x00hello",
        b"\x0d\x00\x00\x00\x93\xa8Nonsense\x80\x90\x00",
    ],
)
def test_a_message_that_is_wrong_is_refused(header: bytes) -> None:
    left = memoryview(header)

    def fill(buffer: memoryview) -> None:
        nonlocal left
        buffer[:] = left[: len(buffer)]
        left = left[len(buffer) :]

    with pytest.raises(MessageError):
        read_message(fill)


def test_the_middle_frame_and_the_stated_duration(decoder: LimitedDecoder, clip: Path) -> None:
    assert decoder.decode_middle_frame(clip).shape == (360, 540, 3)
    assert decoder.stated_duration_s(clip) == pytest.approx(2.0, abs=0.1)


def test_a_client_s_cancelled_stream_ends_its_decoder(
    decoder: LimitedDecoder, endless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmotionClient, "check_ready", lambda self, model="": None)
    cancel = threading.Event()
    with EmotionClient("127.0.0.1:1", decoder=decoder) as client:
        threading.Timer(0.5, cancel.set).start()
        started = time.monotonic()
        with pytest.raises(CancelledError):
            next(client.stream(endless, cancel=cancel))
        assert time.monotonic() - started < TIMEOUT_S
    wait_for_no_child(decoder)
