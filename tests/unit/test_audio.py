"""Sound: level, pitch, length, alignment with the pictures, and tracks that cannot be used."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from tests.clips import KEEP_CLOCK, Tone, concatenate, damage, join_streams, write_clip, write_sound
from vemoclap_client.contract import SAMPLE_RATE_HZ
from vemoclap_client.media import _alignment
from vemoclap_client.media import _audio as audio
from vemoclap_client.media._audio import decode_audio, mono
from vemoclap_client.media._channels import ChannelMixer
from vemoclap_client.media.video import decode


def amplitude_at(samples: NDArray[np.float32], frequency_hz: float) -> float:
    """The amplitude of one frequency in the middle of the sound, away from its edges."""
    middle = samples[samples.size // 4 : -samples.size // 4]
    times = np.arange(middle.size) / SAMPLE_RATE_HZ
    window = np.hanning(middle.size)
    turning = np.exp(-2j * np.pi * frequency_hz * times)
    return float(2 * abs(np.sum(middle * window * turning)) / window.sum())


def loud_range_s(samples: NDArray[np.float32]) -> tuple[float, float]:
    """Where the sound is not silent, in seconds."""
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    return loud[0] / SAMPLE_RATE_HZ, loud[-1] / SAMPLE_RATE_HZ


@pytest.mark.parametrize("rate_hz", [1_000, 8_000, 16_000, 22_050, 44_100, 96_000, 768_000])
def test_rates(tmp_path: Path, rate_hz: int) -> None:
    tone = Tone((100,), rate_hz=rate_hz, codec="pcm_s16le")
    sound = decode_audio(write_sound(tmp_path / "sound.wav", tone))
    assert sound.samples.dtype == np.float32
    assert sound.samples.size == pytest.approx(32_000, abs=20)
    assert amplitude_at(sound.samples, 100) == pytest.approx(0.5, rel=0.02)
    assert amplitude_at(sound.samples, 110) < 0.01


def test_what_16_khz_cannot_hold_is_filtered_out(tmp_path: Path) -> None:
    tone = Tone((11_000,), rate_hz=48_000, codec="pcm_s16le")
    samples = decode_audio(write_sound(tmp_path / "sound.wav", tone)).samples
    assert np.abs(samples[1000:-1000]).max() < 0.01


@pytest.mark.parametrize(
    ("codec", "extension"),
    [
        ("aac", "m4a"),
        ("libmp3lame", "mp3"),
        ("libopus", "ogg"),
        ("flac", "flac"),
        ("pcm_u8", "wav"),
        ("pcm_mulaw", "wav"),
        ("pcm_s24le", "wav"),
        ("pcm_f32le", "wav"),
        ("pcm_f64le", "wav"),
        ("pcm_s64le", "wav"),
    ],
)
def test_sample_formats(tmp_path: Path, codec: str, extension: str) -> None:
    tone = Tone((440, 0), rate_hz=48_000, layout="stereo", codec=codec)
    samples = decode_audio(write_sound(tmp_path / f"sound.{extension}", tone)).samples
    assert amplitude_at(samples, 440) == pytest.approx(0.25, rel=0.05)
    assert abs(samples.mean()) < 0.005


@pytest.mark.parametrize(
    ("layout", "frequencies_hz"),
    [
        ("stereo", (300, 900)),
        ("2.1", (300, 900, 60)),
        ("5.1", (300, 600, 900, 60, 1500, 1800)),
        ("7.1", (300, 600, 900, 60, 1500, 1800, 2100, 2400)),
    ],
)
@pytest.mark.parametrize("codec", ["pcm_s16le", "flac", "aac"])
def test_mean_over_channels(
    tmp_path: Path, layout: str, frequencies_hz: tuple[float, ...], codec: str
) -> None:
    tone = Tone(frequencies_hz, rate_hz=48_000, layout=layout, codec=codec)
    samples = decode_audio(write_sound(tmp_path / "sound.mka", tone)).samples
    # Each channel counts the same: no downmix weights, no dropped bass channel.
    for frequency_hz in frequencies_hz:
        share = 0.5 / len(frequencies_hz)
        tolerance = 0.1 if codec == "aac" else 0.01
        assert amplitude_at(samples, frequency_hz) == pytest.approx(share, rel=tolerance)


@pytest.mark.parametrize("sample_format", ["flt", "fltp"])
def test_not_a_number_becomes_silence(sample_format: str) -> None:
    values = np.array([[np.nan, 0.5, np.inf, -np.inf]], np.float32)
    frame = AudioFrame.from_ndarray(values, format=sample_format, layout="mono")
    assert mono(frame, ChannelMixer()).tolist() == [0.0, 0.5, 1.0, -1.0]


def test_loud_sound_is_clipped(tmp_path: Path) -> None:
    tone = Tone((440,), amplitude=3.0, codec="pcm_f32le")
    samples = decode_audio(write_sound(tmp_path / "sound.wav", tone)).samples
    assert (samples.min(), samples.max()) == (-1.0, 1.0)
    assert np.mean(np.abs(samples) == 1.0) > 0.5


@pytest.mark.parametrize("extension", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("start_s", [0.0, 0.75])
def test_sound_that_starts_later_is_preceded_by_silence(
    tmp_path: Path, start_s: float, extension: str
) -> None:
    path = write_clip(
        tmp_path / f"clip.{extension}",
        seconds=3,
        sound=Tone(start_s=start_s, seconds=1.5, rate_hz=48_000),
    )
    clip = decode(path)
    assert loud_range_s(clip.audio) == pytest.approx((start_s, start_s + 1.5), abs=0.05)


def test_sound_before_the_pictures_is_cut(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", start_s=0.6, sound=Tone(codec="pcm_s16le", seconds=2))
    clip = decode(path)
    assert clip.duration_s == 2
    assert clip.audio.size == pytest.approx(1.4 * SAMPLE_RATE_HZ, abs=16)
    assert loud_range_s(clip.audio)[0] < 0.01


def test_sound_that_ends_before_the_pictures_is_absent(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", start_s=1, sound=Tone(codec="pcm_s16le", seconds=0.5))
    clip = decode(path)
    assert clip.audio.size == 0
    assert clip.audio_absent_reason is not None
    assert "before the pictures" in clip.audio_absent_reason


@pytest.mark.parametrize("seconds", [0.1, 1.0, 4.0])
def test_sound_keeps_its_own_length(tmp_path: Path, seconds: float) -> None:
    path = write_clip(tmp_path / "clip.mkv", sound=Tone(seconds=seconds, codec="pcm_s16le"))
    assert decode(path).audio.size == pytest.approx(seconds * SAMPLE_RATE_HZ, abs=16)


@pytest.mark.parametrize(
    "later_s", [100, 116, 134, 174], ids=["back", "12 s on", "30 s on", "70 s on"]
)
def test_sound_goes_with_pictures_whose_clock_jumps(tmp_path: Path, later_s: int) -> None:
    parts = [
        write_clip(
            tmp_path / f"{number}.ts",
            seconds=4,
            start_s=start_s,
            size=(16, 16),
            sound=Tone(seconds=4, start_s=start_s, rate_hz=48_000),
            container_options=KEEP_CLOCK,
        )
        for number, start_s in enumerate((100, later_s))
    ]
    found = decode(concatenate(tmp_path / "joined.ts", *parts))
    assert found.duration_s == pytest.approx(8)
    assert loud_range_s(found.audio) == pytest.approx((0, 8), abs=0.1)


def test_a_gap_is_filled_with_silence(tmp_path: Path) -> None:
    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000)
        stream.layout = "mono"
        for start in (0, 3):
            frame = AudioFrame.from_ndarray(
                np.full((1, 16_000), 16_000, np.int16), format="s16", layout="mono"
            )
            frame.sample_rate = 16_000
            frame.pts = start * 16_000
            container.mux(stream.encode(frame))
    samples = decode_audio(path).samples
    assert samples.size == pytest.approx(4 * SAMPLE_RATE_HZ, abs=16)
    assert np.abs(samples[17_000:47_000]).max() < 0.01
    assert samples[49_000:].min() > 0.4


@pytest.mark.parametrize("max_samples", [20_000, 32_000])
def test_sound_above_the_greatest_length_is_cut_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_samples: int
) -> None:
    monkeypatch.setattr(audio, "MAX_SAMPLES", max_samples)
    tone = Tone(codec="pcm_s16le", rate_hz=16_000)
    sound = decode_audio(write_sound(tmp_path / "sound.wav", tone))
    warning = "only the first 10 minutes of the sound were used"
    assert sound.samples.size == max_samples
    assert sound.warnings == ((warning,) if max_samples < 32_000 else ())


def test_damaged_packet_is_left_out_with_a_warning(tmp_path: Path) -> None:
    tone = Tone(codec="flac", seconds=2)
    whole = write_clip(tmp_path / "whole.mkv", sound=tone)
    clip = decode(damage(whole, tmp_path / "damaged.mkv", "audio", 5))
    assert clip.audio_absent_reason is None
    assert clip.warnings == ("1 damaged packets of the sound were left out",)
    # Its place stays: what follows is not moved forward.
    assert clip.audio.size == pytest.approx(2 * SAMPLE_RATE_HZ, abs=16)
    assert amplitude_at(clip.audio[-8000:], 440) == pytest.approx(0.5, rel=0.05)


def test_unknown_codec_is_no_sound(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", sound=Tone())
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"zzzz").replace(b"esds", b"zzzz"))
    clip = decode(path)
    assert clip.frames.shape[0] == 16
    assert clip.audio.size == 0
    assert clip.audio_absent_reason == "there is no decoder for the codec of its sound track"


@pytest.mark.parametrize(
    ("default", "unknown", "heard_hz"),
    [
        (0, None, 300),
        (1, None, 600),
        (-1, None, 300),
        (0, b"A_AAC", 600),
        (1, b"A_FLAC", 300),
        (-1, b"A_AAC", 600),
    ],
)
def test_of_several_sounds_the_default_then_the_first_that_has_a_decoder_is_heard(
    tmp_path: Path, default: int, unknown: bytes | None, heard_hz: int
) -> None:
    first = write_sound(tmp_path / "0.mka", Tone((300,), rate_hz=48_000))
    second = write_sound(tmp_path / "1.mka", Tone((600,), rate_hz=48_000, codec="flac"))
    path = join_streams(tmp_path / "both.mka", first, second, default=default)
    if unknown:
        path.write_bytes(path.read_bytes().replace(unknown, b"A_ZZZZ"[: len(unknown)]))
    samples = decode_audio(path).samples
    assert amplitude_at(samples, heard_hz) == pytest.approx(0.5, rel=0.1)


def test_undecodable_sound_is_no_sound(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", sound=Tone(codec="flac"))
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(audio=0) if p.size]
    for position, size in packets:
        assert position is not None
        start = data.index(b"\xff\xf8", position)
        data[start : start + size - 8] = bytes(size - 8)
    path.write_bytes(data)
    clip = decode(path)
    assert clip.audio.size == 0
    assert clip.audio_absent_reason == "the sound track cannot be decoded"


@pytest.mark.parametrize("rate_hz", [1, 999, 768_001, 400_000_000, 2_000_000_000])
def test_an_absurd_rate_is_no_sound(tmp_path: Path, rate_hz: int) -> None:
    tone = Tone(rate_hz=rate_hz, seconds=1000 / rate_hz, codec="pcm_u8", start_s=0.5)
    clip = decode(write_clip(tmp_path / "clip.mkv", sound=tone))
    assert clip.audio.size == 0
    assert clip.audio_absent_reason is not None
    assert f"cannot be decoded: it claims {rate_hz} samples" in clip.audio_absent_reason


def test_a_long_packet_is_resampled_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    resample = _alignment.Resampler.resample

    def spy(self: _alignment.Resampler, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        sizes.append(samples.size)
        return resample(self, samples)

    path = write_one_packet(tmp_path / "long.mkv", rate_hz=1_000, samples=50_000)
    monkeypatch.setattr(_alignment.Resampler, "resample", spy)
    assert decode_audio(path).samples.size == pytest.approx(50 * SAMPLE_RATE_HZ, abs=20)
    assert max(sizes) == 1_000


@pytest.mark.parametrize("error", [MemoryError, av.error.ArgumentError])
def test_failing_resampling_is_no_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(_self: object, _samples: object) -> None:
        raise error(12, "no") if error is not MemoryError else MemoryError

    path = write_sound(tmp_path / "sound.wav", Tone(codec="pcm_s16le"))
    monkeypatch.setattr(_alignment.Resampler, "resample", fail)
    assert decode_audio(path).absent_reason == "the sound track cannot be decoded"


def write_one_packet(path: Path, rate_hz: int, samples: int) -> Path:
    """Sound in a single packet, as no muxer would cut it by itself."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_u8", rate=rate_hz)
        stream.layout = "mono"
        packet = av.Packet(bytes(range(256)) * (samples // 256) + bytes(samples % 256))
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = 0
        container.mux(packet)
    return path
