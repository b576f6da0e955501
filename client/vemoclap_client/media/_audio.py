"""Decodes a file's sound: one channel, 16 kHz, aligned with the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray

from vemoclap_client.contract import AUDIO_MAX_S, SAMPLE_RATE_HZ
from vemoclap_client.media._alignment import Aligner, Resampler
from vemoclap_client.media._channels import ChannelMixer
from vemoclap_client.media.container import (
    VideoFile,
    choose_audio_stream,
    has_decoder,
    numbered_audio_stream,
    read_packets,
)

READABLE_FORMATS = ("u8", "u8p", "s16", "s16p", "s32", "s32p", "flt", "fltp", "dbl", "dblp")
"""Sample formats that PyAV can hand to numpy."""

READABLE_PLANES_MAX = 7
"""PyAV (18.1) counts a plane too many, and reads past memory, where FFmpeg has eight or more."""

FULL_SCALE = {"i2": 2.0**15, "i4": 2.0**31}
"""The amplitude 1.0 in each of FFmpeg's signed integer sample formats, by numpy type."""

RATE_MIN_HZ, RATE_MAX_HZ = 1_000, 768_000
"""A header can claim any rate: outside these, a few bytes would become hours or gigabytes."""

UNDECODABLE = "the sound track cannot be decoded"
EMPTY = "the sound track is empty or ends before the pictures begin"

MAX_SAMPLES = AUDIO_MAX_S * SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Sound:
    """The sound of a clip."""

    samples: NDArray[np.float32]
    """float32 [samples], mono, 16 kHz, in [-1, 1]; empty if there is no sound."""
    absent_reason: str | None
    """Why there is no sound; None if there is."""
    warnings: tuple[str, ...] = ()


MISSING_MIN_S = 1.0
"""Shorter pauses of the sound are not warned about."""


class UnusableSoundError(Exception):
    """The sound cannot be used; the text is the reason to give."""


def decode_audio(
    path: str | Path, start_s: Fraction | None = None, end_s: Fraction | None = None
) -> Sound:
    """Decode the sound of a local file.

    Gaps in it are filled with silence. At most AUDIO_MAX_S seconds are decoded. Sound that
    cannot be decoded is no error: there is then no sound, with the reason.

    Args:
        start_s: what becomes the first sample, in seconds on the file's own clock (see
            Frames.start_s): sound before it is cut off, sound that begins later is preceded
            by silence. None: the sound's own beginning.
        end_s: when the pictures end, on the same clock; None: unknown.

    Raises:
        VideoError: the file cannot be opened, see VideoFile.
    """
    with VideoFile(Path(path)) as file:
        return decode_sound(file, start_s, end_s)


def decode_sound(file: VideoFile, start_s: Fraction | None, end_s: Fraction | None) -> Sound:
    """As decode_audio, of an open file."""
    try:
        with open_sound(file) as decoder:
            samples = _collect(decoder.mono_pieces(start_s, end_s))
    except UnusableSoundError as error:
        return no_sound(str(error))
    return _to_sound(samples, decoder)


@contextmanager
def open_sound(file: VideoFile) -> Iterator[SoundDecoder]:
    """Open the sound track of a file; nothing is decoded yet.

    Raises:
        UnusableSoundError: there is none, or no decoder for it.
        AudioTrackError: the file has no track of this number.
        VideoError: it is in no container that can be read.
    """
    with file.open_container() as container:
        if file.audio_track is None:
            stream = choose_audio_stream(container)
        else:
            stream = numbered_audio_stream(container, file.audio_track, file.path)
        if stream is None:
            raise UnusableSoundError("the file has no sound track")
        if not has_decoder(stream):
            raise UnusableSoundError("there is no decoder for the codec of its sound track")
        yield SoundDecoder(container, stream)


def no_sound(reason: str) -> Sound:
    """A sound that is not there, and why."""
    return Sound(np.zeros(0, np.float32), reason)


def _collect(pieces: Iterator[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Join the pieces, with one sample too many if there is more than is allowed."""
    # A bytearray grows in place: joining a list of arrays would hold everything twice.
    joined = bytearray()
    for piece in pieces:
        joined += piece.tobytes()
        if len(joined) > MAX_SAMPLES * piece.itemsize:
            break
    return np.frombuffer(joined, np.float32)[: MAX_SAMPLES + 1]


def _to_sound(samples: NDArray[np.float32], decoder: SoundDecoder) -> Sound:
    if not samples.size:
        return no_sound(UNDECODABLE if decoder.damaged_packets else EMPTY)
    warnings = sound_warnings(decoder)
    if samples.size > MAX_SAMPLES:
        warnings.append(f"only the first {AUDIO_MAX_S // 60} minutes of the sound were used")
    return Sound(np.clip(samples[:MAX_SAMPLES], -1, 1), None, tuple(warnings))


def sound_warnings(decoder: SoundDecoder) -> list[str]:
    """Warnings about packets that were lost, and about sound that the file does not have."""
    warnings = []
    if decoder.damaged_packets:
        warnings.append(f"{decoder.damaged_packets} damaged packets of the sound were left out")
    if decoder.missing_s >= MISSING_MIN_S:
        warnings.append(
            f"the sound pauses for {decoder.missing_s:.0f} s in all, which are taken as silence"
        )
    return warnings


def mono(frame: AudioFrame, mixer: ChannelMixer) -> NDArray[np.float32]:
    """A frame's channels as one, float32 [samples], full scale 1; NaN becomes 0."""
    channels = frame.layout.nb_channels
    too_many_planes = frame.format.is_planar and channels > READABLE_PLANES_MAX
    if too_many_planes or frame.format.name not in READABLE_FORMATS:
        frame = _interleaved(frame)
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    if values.dtype == np.uint8:
        values = values.astype(np.int16) - 128
        full_scale = 2.0**7
    else:
        full_scale = FULL_SCALE.get(values.dtype.str[1:], 1.0)
    finite = np.nan_to_num(values / full_scale, nan=0.0, posinf=1.0, neginf=-1.0)
    names = [channel.name for channel in frame.layout.channels]
    return mixer.mix(finite, names).astype(np.float32)


def _interleaved(frame: AudioFrame) -> AudioFrame:
    """The same samples and channels as float32, in one plane."""
    converter = AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
    return converter.resample(frame)[0]


class SoundDecoder:
    """Decodes one sound track piece by piece."""

    def __init__(self, container: InputContainer, stream: AudioStream) -> None:
        self._container = container
        self._stream = stream
        self._mixer = ChannelMixer()
        self.damaged_packets = 0
        self.missing_s = 0.0

    def mono_pieces(
        self, start_s: Fraction | None, end_s: Fraction | None
    ) -> Iterator[NDArray[np.float32]]:
        """Pieces of the sound at 16 kHz, float32 [samples]; not clipped to [-1, 1].

        Args:
            start_s: as decode_audio's; likewise end_s.

        Raises:
            UnusableSoundError: the sound cannot be decoded on.
        """
        try:
            yield from self._mono_pieces(start_s, end_s)
        except (av.FFmpegError, MemoryError) as error:
            # Decoding's own errors were counted: this is the resampling.
            raise UnusableSoundError(UNDECODABLE) from error

    def _mono_pieces(
        self, start_s: Fraction | None, end_s: Fraction | None
    ) -> Iterator[NDArray[np.float32]]:
        aligner = Aligner(start_s, end_s)
        resampler: Resampler | None = None
        for frame, samples in self._frames():
            if resampler is None or resampler.rate_hz != frame.sample_rate:
                if resampler is not None:
                    yield resampler.finish()
                resampler = Resampler(frame.sample_rate)
            for piece in aligner.align(samples, frame.sample_rate, self._time_s(frame)):
                # In one go, FFmpeg would want memory for all that a long packet becomes.
                for start in range(0, piece.size, frame.sample_rate):
                    yield resampler.resample(piece[start : start + frame.sample_rate])
            self.missing_s = aligner.missing_s
        if resampler is not None:
            yield resampler.finish()

    def _frames(self) -> Iterator[tuple[AudioFrame, NDArray[np.float32]]]:
        for packet in read_packets(self._container, self._stream):
            yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(
        self, packet: Packet[Stream] | None
    ) -> list[tuple[AudioFrame, NDArray[np.float32]]]:
        try:
            frames = self._stream.codec_context.decode(packet)
            for frame in frames:
                _check_rate(frame.sample_rate)
            return [(frame, mono(frame, self._mixer)) for frame in frames]
        except (av.FFmpegError, MemoryError, ValueError):
            # ValueError: a layout that PyAV cannot convert.
            self.damaged_packets += 1
            return []

    def _time_s(self, frame: AudioFrame) -> Fraction | None:
        if frame.pts is None or not self._stream.time_base:
            return None
        return frame.pts * self._stream.time_base


def _check_rate(rate_hz: int) -> None:
    if not RATE_MIN_HZ <= rate_hz <= RATE_MAX_HZ:
        raise UnusableSoundError(
            f"the sound track cannot be decoded: it claims {rate_hz} samples a second"
        )
