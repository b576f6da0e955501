"""Frames: exactness against decoding everything, cost, geometry, colours, and bad files."""

import os
import socket
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from tests.clips import (
    KEEP_CLOCK,
    OPEN_GOP,
    OPTIONS,
    Tone,
    claim_keyframes,
    concatenate,
    cut,
    damage,
    hold_last_frame,
    join_streams,
    numbered_frames,
    numbered_image,
    read_number,
    solid_frame,
    write_clip,
    write_cover_art,
    write_sound,
)
from vemoclap_client import errors
from vemoclap_client.media._scaling import Scaler
from vemoclap_client.media.container import (
    VideoFile,
    choose_video_stream,
    open_container,
    use_threads,
)
from vemoclap_client.media.video import Frames, decode, decode_file, decode_frames, open_video

SEEKABLE: dict[str, dict[str, Any]] = {
    "closed.mp4": {"b_frames": 3},
    "pyramid.mp4": {"gop": 30, "b_frames": 8, "options": {"preset": "medium"}},
    "open264.mp4": {"options": OPEN_GOP["libx264"], "b_frames": 3},
    "open264.mkv": {"options": OPEN_GOP["libx264"], "b_frames": 3},
    "open264.ts": {"options": OPEN_GOP["libx264"], "b_frames": 3},
    "open265.mp4": {"codec": "libx265", "options": OPEN_GOP["libx265"]},
    "open265.mkv": {"codec": "libx265", "options": OPEN_GOP["libx265"]},
    "open265.ts": {"codec": "libx265", "options": OPEN_GOP["libx265"]},
    "closed.ts": {"b_frames": 2},
    "closed.mkv": {"b_frames": 2},
    "closed.flv": {"b_frames": 2},
    "fragments.mp4": {
        "b_frames": 2,
        "container_options": {"movflags": "frag_keyframe+empty_moov"},
    },
    "no_cues.mkv": {"b_frames": 2, "container_options": {"live": "1"}},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "hidden_frames.webm": {
        "codec": "libvpx",
        "options": OPTIONS["libvpx"]
        | {"auto-alt-ref": "1", "lag-in-frames": "10", "deadline": "good"},
    },
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg4_b.avi": {"codec": "mpeg4", "b_frames": 2},
    "mpeg2.ts": {"codec": "mpeg2video", "b_frames": 2},
    "mpeg2.mpg": {"codec": "mpeg2video", "b_frames": 2},
    "av1.mp4": {"codec": "libsvtav1"},
    "av1_open.mp4": {
        "codec": "libsvtav1",
        "options": {"preset": "12", "svtav1-params": "lp=1:irefresh-type=1"},
    },
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "variable_rate.mp4": {"b_frames": 2, "times_ms": [int(33 * i**1.2) for i in range(60)]},
    "late.mp4": {"b_frames": 2, "start_s": 1.5},
    "late.mkv": {"b_frames": 2, "start_s": 1.5},
    "edit_list.mp4": {"b_frames": 2, "gop": 30, "start_s": -0.72},
    "five_frames.mp4": {"seconds": 0.2},
    "one_frame.mp4": {"seconds": 0.04},
}
"""Clips that must be decoded by seeking."""

NOT_SEEKABLE: dict[str, dict[str, Any]] = {
    "intra_refresh.mp4": {"options": {"preset": "fast", "x264-params": "intra-refresh=1"}},
    "intra_refresh.ts": {"options": {"preset": "fast", "x264-params": "intra-refresh=1"}},
    "raw.h264": {"b_frames": 2},
    "raw.hevc": {"codec": "libx265"},
}
"""Clips of which everything must be decoded."""


def expected_frames(path: Path) -> tuple[NDArray[np.uint8], list[float]]:
    """What decoding everything picks, with the images' conversion shared with the client."""
    scaler = Scaler(Fraction(1))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        time_base = stream.time_base or Fraction(1)
        decoded: list[tuple[int, int, av.VideoFrame]] = []
        for number, frame in enumerate(container.decode(stream)):
            if frame.pts is None:
                time_base = Fraction(1, 25)
                decoded.append((number, 1, frame))
            else:
                decoded.append((frame.pts, frame.duration, frame))
    start, (last, last_duration, _) = decoded[0][0], decoded[-1]
    mean_duration = Fraction(last - start, max(1, len(decoded) - 1))
    duration = last - start + (last_duration or mean_duration)
    picked = [
        min(decoded, key=lambda shown: (abs(shown[0] - start - target), shown[0]))
        for target in [Fraction(duration * i) / 16 for i in range(16)]
    ]
    images = np.stack([scaler.scale(frame) for _, _, frame in picked])
    return images, [float((ticks - start) * time_base) for ticks, _, _ in picked]


def assert_exact(found: Frames, path: Path) -> None:
    images, times_s = expected_frames(path)
    assert found.times_s == pytest.approx(times_s, abs=1e-9)
    numbers = [read_number(image) for image in images]
    assert [read_number(image) for image in found.images] == numbers
    np.testing.assert_array_equal(found.images, images)


@pytest.mark.parametrize("name", SEEKABLE)
def test_seeking_picks_what_a_full_decode_picks(tmp_path: Path, name: str) -> None:
    path = write_clip(tmp_path / name, **{"seconds": 3, **SEEKABLE[name]})
    found = decode_frames(path)
    assert_exact(found, path)
    assert not found.statistics.full_decode
    assert found.statistics.seeks > 0
    assert found.warnings == ()


@pytest.mark.parametrize("name", NOT_SEEKABLE)
def test_unseekable_streams_are_decoded_whole(tmp_path: Path, name: str) -> None:
    path = write_clip(tmp_path / name, seconds=3, **NOT_SEEKABLE[name])
    found = decode_frames(path)
    assert_exact(found, path)
    assert found.statistics.full_decode


def test_avi_without_display_order_gives_frames_in_order(tmp_path: Path) -> None:
    # FFmpeg makes up wrong times for B-frames here, so a decode by times is no reference.
    path = write_clip(tmp_path / "clip.avi", seconds=3, b_frames=2)
    found = decode_frames(path)
    numbers = [round(i * 75 / 16 - 0.01) for i in range(16)]
    assert [read_number(image) for image in found.images] == numbers
    assert found.duration_s == 3.0


def test_of_two_equally_near_frames_the_earlier_is_taken(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", fps=10, seconds=0.8)
    found = decode_frames(path)
    # The times are 0, 0.05, 0.1 ... s, every other one halfway between two frames.
    assert [read_number(image) for image in found.images] == [i // 2 for i in range(16)]
    assert found.duration_s == pytest.approx(0.8)


def test_cost_does_not_grow_with_length(tmp_path: Path) -> None:
    short = decode_frames(write_clip(tmp_path / "short.mp4", seconds=8, size=(16, 16)))
    long = decode_frames(write_clip(tmp_path / "long.mp4", seconds=80, size=(16, 16)))
    assert long.duration_s == pytest.approx(10 * short.duration_s)
    assert long.statistics.frames_decoded <= 1.5 * short.statistics.frames_decoded
    assert long.statistics.frames_decoded < 300  # of 2000


def test_within_one_gop_nothing_is_decoded_twice(tmp_path: Path) -> None:
    found = decode_frames(write_clip(tmp_path / "clip.mp4", seconds=3, gop=100, b_frames=2))
    assert found.statistics.seeks == 1
    assert found.statistics.frames_decoded <= 75


def test_chosen_times(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=3, start_s=1)
    times_s = [-1.0, 0.0, 0.41, 0.41, 2.0, 2.999, 50.0]
    found = decode_frames(path, times_s)
    assert [read_number(image) for image in found.images] == [0, 0, 10, 10, 50, 74, 74]
    assert found.times_s == pytest.approx((0, 0, 0.4, 0.4, 2, 2.96, 2.96))
    with open_video(path) as video:
        one_by_one = list(video.frames_at(times_s))
    assert [time_s for time_s, _ in one_by_one] == list(found.times_s)
    np.testing.assert_array_equal(np.stack([image for _, image in one_by_one]), found.images)


@pytest.mark.parametrize("times_s", [[], [1.0, 0.5]])
def test_bad_times_are_refused(tmp_path: Path, times_s: list[float]) -> None:
    path = write_clip(tmp_path / "clip.mp4")
    with pytest.raises(ValueError, match="times_s"):
        decode_frames(path, times_s)


def test_clip_cut_off_in_the_middle(tmp_path: Path) -> None:
    whole = write_clip(
        tmp_path / "whole.mp4", seconds=8, container_options={"movflags": "faststart"}
    )
    found = decode_frames(cut(whole, tmp_path / "cut.mp4", keep=0.5))
    assert 2 < found.duration_s < 6
    assert found.warnings == (
        f"the file ends at {found.duration_s:.1f} s of the 8.0 s its header states; "
        "what is there was used",
    )
    for i, image in enumerate(found.images):
        assert read_number(image) == pytest.approx(i * found.duration_s * 25 / 16, abs=0.51)
    last = decode_frames(tmp_path / "cut.mp4", [99.0])
    assert last.times_s[0] == pytest.approx(found.duration_s - 0.04)
    same = decode_frames(whole, last.times_s)
    np.testing.assert_array_equal(last.images, same.images)


def test_matroska_cut_off_in_the_middle(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", seconds=8, sound=Tone(seconds=8))
    assert decode_frames(whole).warnings == ()
    found = decode_frames(cut(whole, tmp_path / "cut.mkv", keep=0.5))
    assert len(found.warnings) == 1
    assert "of the 8.0 s its header states" in found.warnings[0]
    assert read_number(found.images[-1]) == pytest.approx(15 / 16 * found.duration_s * 25, abs=1)


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video", "mpeg4"])
def test_recording_that_begins_within_a_gop(tmp_path: Path, codec: str) -> None:
    whole = write_clip(tmp_path / "whole.ts", seconds=3, codec=codec, b_frames=2, gop=12)
    path, data = tmp_path / "late.ts", whole.read_bytes()
    path.write_bytes(data[-round(len(data) * 0.7) :])
    found = decode_frames(path)
    first = read_number(found.images[0])
    assert first > 10
    assert found.duration_s == pytest.approx((75 - first) / 25)
    np.testing.assert_array_equal(
        found.images, decode_frames(whole, [t + first / 25 for t in found.times_s]).images
    )


@pytest.mark.parametrize(
    ("extension", "codec", "starts_s"),
    [
        ("ts", "libx264", (0, 0)),
        ("ts", "libx264", (107, 100)),
        ("ts", "libx264", (100, 5000)),
        ("ts", "libx264", (5000, 100)),
        ("ts", "mpeg2video", (0, 0)),
        ("mpg", "mpeg2video", (0, 0)),
    ],
)
def test_joined_recordings_follow_each_other(
    tmp_path: Path, extension: str, codec: str, starts_s: tuple[int, int]
) -> None:
    parts = [
        write_clip(
            tmp_path / f"{number}.{extension}",
            start_s=start_s,
            seconds=4,
            codec=codec,
            b_frames=2,
            container_options=KEEP_CLOCK if extension == "ts" else {},
        )
        for number, start_s in enumerate(starts_s)
    ]
    found = decode_frames(concatenate(tmp_path / f"joined.{extension}", *parts))
    assert found.duration_s == pytest.approx(8, abs=0.2)
    assert read_number(found.images[4]) == pytest.approx(50, abs=3)
    assert read_number(found.images[12]) == pytest.approx(50, abs=5)
    assert len(found.warnings) == 1
    assert "clock jumps" in found.warnings[0]


def test_an_absurd_last_duration_is_not_believed(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", seconds=3)
    found = decode_frames(hold_last_frame(whole, tmp_path / "long.mkv", 10_000_000))
    assert found.duration_s == pytest.approx(3)
    assert len(found.warnings) == 1
    assert "shown for 10000000 s" in found.warnings[0]


def test_a_last_frame_may_be_held(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", seconds=1)
    found = decode_frames(hold_last_frame(whole, tmp_path / "held.mkv", 5))
    assert found.duration_s == pytest.approx(5.96, abs=0.01)
    assert found.warnings == ()


def test_false_keyframes_are_not_trusted(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", seconds=3, codec="mpeg4", gop=30)
    path = claim_keyframes(whole, tmp_path / "claims.mp4", every=7)
    found = decode_frames(path)
    assert_exact(found, path)
    assert found.statistics.full_decode


def test_damaged_packet_is_left_out(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", seconds=3, codec="libvpx-vp9")
    path = damage(whole, tmp_path / "damaged.mkv", "video", 35)
    found = decode_frames(path)
    assert found.statistics.full_decode
    assert any("damaged" in warning for warning in found.warnings)
    assert [read_number(image) for image in found.images[:7]] == [0, 5, 9, 14, 19, 23, 28]


@pytest.mark.parametrize(
    ("pixel_format", "codec"),
    [
        ("yuv420p", "libx264"),
        ("yuvj420p", "libx264"),
        ("yuv420p10le", "libx264"),
        ("yuv444p", "libx264"),
        ("yuv420p10le", "libx265"),
        ("rgb24", "png"),
    ],
)
def test_pixel_formats(tmp_path: Path, pixel_format: str, codec: str) -> None:
    path = write_clip(tmp_path / "clip.mov", seconds=0.4, codec=codec, pixel_format=pixel_format)
    found = decode_frames(path)
    assert found.images.dtype == np.uint8
    assert read_number(found.images[-1]) == 9


def test_grey(tmp_path: Path) -> None:
    frames = [solid_frame([16 + 219 // 2], (64, 64), "gray")] * 3
    path = write_clip(tmp_path / "clip.mkv", codec="ffv1", pixel_format="gray", frames=frames)
    image = decode_frames(path).images[0]
    assert np.ptp(image) == 0
    assert image[0, 0, 0] in (125, 127)  # FFmpeg reads grey as full or as limited range


RED = {
    "bt709": ((63, 102, 240), Colorspace.ITU709, ColorRange.MPEG),
    "bt709 full range": ((54, 99, 255), Colorspace.ITU709, ColorRange.JPEG),
    "bt601": ((81, 90, 240), Colorspace.SMPTE170M, ColorRange.MPEG),
    "bt601 full range": ((76, 85, 255), Colorspace.SMPTE170M, ColorRange.JPEG),
    "untagged": ((81, 90, 240), None, None),
}
"""Pure red as Y, Cb, Cr by each standard's own formula."""


@pytest.mark.parametrize("standard", RED)
def test_red_is_red(tmp_path: Path, standard: str) -> None:
    planes, matrix, colour_range = RED[standard]
    path = write_clip(
        tmp_path / "red.mp4",
        size=(64, 64),
        frames=[solid_frame(planes, (64, 64), "yuv420p")] * 3,
        colour_matrix=matrix,
        colour_range=colour_range,
        options={"preset": "ultrafast", "crf": "1"},
    )
    image = decode_frames(path).images[0].astype(int)
    assert np.abs(image - (255, 0, 0)).max() <= 4


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotation(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    turned = []
    for frame in numbered_frames(10, (96, 64)):
        upright = np.asarray(frame.to_ndarray(), np.uint8)
        unmirrored = upright[:, ::-1] if mirrored else upright
        stored = np.asarray(np.rot90(unmirrored, -rotation // 90), np.uint8)
        turned.append(av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), format="rgb24"))
    size = (turned[0].width, turned[0].height)
    path = write_clip(
        tmp_path / "clip.mp4", size=size, rotation=rotation, mirrored=mirrored, frames=turned
    )
    found = decode_frames(path)
    assert (found.width, found.height) == (96, 64)
    assert found.images.shape == (16, 360, 540, 3)
    assert read_number(found.images[-1]) == 9


def test_pixel_aspect(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", size=(64, 64), pixel_aspect=Fraction(16, 9))
    found = decode_frames(path)
    assert (found.width, found.height) == (114, 64)
    assert found.images.shape == (16, 360, 641, 3)
    assert read_number(found.images[3]) == 9


@pytest.mark.parametrize(
    ("size", "scaled"),
    [
        ((2, 2), (360, 360)),
        ((1, 1), (360, 360)),
        ((33, 65), (360, 709)),
        ((64, 2000), (41, 1280)),
        ((3840, 2160), (640, 360)),
        ((480, 272), (635, 360)),
        ((10, 10_000), (16, 1280)),
    ],
)
def test_sizes(tmp_path: Path, size: tuple[int, int], scaled: tuple[int, int]) -> None:
    frame = av.VideoFrame.from_ndarray(numbered_image(1234, *size), format="rgb24")
    path = write_clip(
        tmp_path / "clip.mkv", size=size, codec="mjpeg", pixel_format="yuvj444p", frames=[frame]
    )
    found = decode_frames(path)
    assert found.images.shape == (16, scaled[1], scaled[0], 3)
    assert (found.width, found.height) == size
    if min(size) > 4:
        assert read_number(found.images[-1]) == 1234


@pytest.mark.parametrize(
    ("default", "size"), [(0, (32, 32)), (1, (96, 64)), (2, (64, 32)), (-1, (96, 64))]
)
def test_of_several_pictures_the_default_then_the_largest_is_watched(
    tmp_path: Path, default: int, size: tuple[int, int]
) -> None:
    sources = [
        write_clip(tmp_path / f"{number}.mkv", size=each, seconds=0.4)
        for number, each in enumerate([(32, 32), (96, 64), (64, 32)])
    ]
    found = decode_frames(join_streams(tmp_path / "all.mkv", *sources, default=default))
    assert (found.width, found.height) == size


def write_solid(path: Path, size: tuple[int, int]) -> Path:
    frames = [solid_frame((235, 128, 128), size, "yuvj420p")]
    return write_clip(path, size=size, codec="mjpeg", pixel_format="yuvj420p", frames=frames)


def test_8k_is_decoded(tmp_path: Path) -> None:
    found = decode_frames(write_solid(tmp_path / "8k.mkv", (4320, 7680)))
    assert found.images.shape == (16, 640, 360, 3)


def test_larger_pictures_are_refused(tmp_path: Path) -> None:
    path = write_solid(tmp_path / "large.mkv", (7744, 4352))
    with pytest.raises(errors.UndecodableVideoError, match="larger than 8K"):
        decode_frames(path)


@pytest.mark.parametrize(("width", "thread_count"), [(4096, 4), (4112, 1)])
def test_large_pictures_are_decoded_by_one_thread(
    tmp_path: Path, width: int, thread_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    path = write_solid(tmp_path / "large.mkv", (width, 2304))
    with open_container(path) as container:
        stream = choose_video_stream(container, path)
        use_threads(stream)
        assert stream.codec_context.thread_count == thread_count


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    path = write_cover_art(tmp_path / "song.mp3", Tone(codec="libmp3lame"))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1  # as FFmpeg sees it
    with pytest.raises(errors.NoVideoStreamError):
        decode(path)


def test_decode_gives_frames_and_sound(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", sound=Tone())
    clip = decode(str(path))
    assert clip.frames.shape == (16, 360, 540, 3)
    assert clip.frame_times_s[1] == pytest.approx(0.12)
    assert clip.duration_s == 2.0
    assert (clip.width, clip.height) == (96, 64)
    assert clip.audio.dtype == np.float32
    assert clip.audio.size == pytest.approx(32_000, abs=1024)
    assert clip.audio_absent_reason is None
    assert clip.warnings == ()


def test_decode_without_sound(tmp_path: Path) -> None:
    clip = decode(write_clip(tmp_path / "clip.mp4"))
    assert clip.audio_absent_reason is not None
    assert clip.audio.shape == (0,)
    assert clip.audio_absent_reason == "the file has no sound track"


def missing(folder: Path) -> Path:
    return folder / "missing.mp4"


def folder(folder: Path) -> Path:
    return folder


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def impossible_name(folder: Path) -> Path:
    return folder / "a\0b.mp4"


def empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def text(folder: Path) -> Path:
    (folder / "text.mp4").write_text("This is no video.\n" * 100)
    return folder / "text.mp4"


def noise(folder: Path) -> Path:
    (folder / "noise.avi").write_bytes(np.random.default_rng(0).bytes(20_000))
    return folder / "noise.avi"


def picture(folder: Path) -> Path:
    return write_clip(folder / "picture.png", codec="png", pixel_format="rgb24", seconds=0.04)


def sound_only(folder: Path) -> Path:
    return write_sound(folder / "sound.m4a", Tone())


def without_index(folder: Path) -> Path:
    return cut(write_clip(folder / "whole.mp4"), folder / "cut.mp4", keep=0.5)


def without_frames(folder: Path) -> Path:
    path = write_clip(folder / "clip.mp4", container_options={"movflags": "faststart"})
    data = path.read_bytes()
    start = data.index(b"mdat") + 4
    path.write_bytes(data[:start] + bytes(len(data) - start))
    return path


def unknown_codec(folder: Path) -> Path:
    path = write_clip(folder / "clip.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    return path


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (missing, errors.VideoNotFoundError, "no such file"),
        (folder, errors.VideoNotFoundError, "folder"),
        (pipe, errors.VideoNotFoundError, "pipe"),
        (impossible_name, errors.VideoNotFoundError, "cannot be read"),
        (empty, errors.EmptyVideoError, "empty"),
        (text, errors.NotAVideoError, "not a video"),
        (noise, errors.NotAVideoError, "not a video"),
        (picture, errors.NotAVideoError, "not a video"),
        (sound_only, errors.NoVideoStreamError, "no pictures"),
        (without_index, errors.UndecodableVideoError, "moov"),
        (without_frames, errors.UndecodableVideoError, "not one of its pictures"),
        (unknown_codec, errors.UndecodableVideoError, "no decoder"),
    ],
)
def test_bad_files(
    tmp_path: Path, make: Any, error: type[Exception], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    capfd.readouterr()
    with pytest.raises(error, match=words) as raised:
        decode(path)
    assert type(raised.value) is error
    assert str(path) in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "name", ["with space.mp4", "a:b.mp4", "concat:x.mp4", "%03d.mp4", "Ünïcödé 日本.mp4", "-i.mp4"]
)
def test_odd_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_clip(tmp_path / "plain.mp4", seconds=0.4)
    written.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert read_number(decode_frames(name).images[-1]) == 9


PLAYLISTS = {
    "hls.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n",
    "hls.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{target}'\n",
    "list.mp4": "ffconcat version 1.0\nfile '{target}'\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 1 RTP/AVP 96\na=rtpmap:96 H264\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_playlists_are_not_followed(tmp_path: Path, name: str) -> None:
    target = write_clip(tmp_path / "other.ts")
    path = tmp_path / name
    path.write_text(PLAYLISTS[name].format(target=target.name))
    with pytest.raises(errors.NotAVideoError):
        decode(path)


def test_urls_are_not_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/clip.mp4"
        with pytest.raises(errors.VideoNotFoundError):
            decode(url)
        with pytest.raises(TimeoutError):
            server.accept()


def open_files(folder: Path) -> set[Path]:
    """The files of a folder that this process has open; other threads have theirs meanwhile."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(descriptor.readlink())
    return {path for path in found if path.is_relative_to(folder)}


def test_no_file_stays_open(tmp_path: Path) -> None:
    good = write_clip(tmp_path / "good.mp4", sound=Tone())
    bad = without_frames(tmp_path)
    unseekable = write_clip(tmp_path / "raw.h264")
    with good.open("rb"):
        assert open_files(tmp_path) == {good}
    decode(good)
    with pytest.raises(errors.UndecodableVideoError):
        decode(bad)
    with open_video(good) as video:
        list(video.frames_at([0.0]))
    decode_frames(unseekable)
    assert not open_files(tmp_path)


def test_a_file_is_opened_once(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", sound=Tone())
    expected = decode(path)
    with VideoFile(path) as file:
        path.unlink()
        clip = decode_file(file)
    np.testing.assert_array_equal(clip.frames, expected.frames)
    np.testing.assert_array_equal(clip.audio, expected.audio)
