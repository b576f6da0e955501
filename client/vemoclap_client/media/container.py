"""Opens one local file with FFmpeg and chooses its streams. Uploads are not trusted.

A name that looks like a URL, a playlist or a list of other files must not make FFmpeg read
anything but the file itself. Three locks see to it: the name always carries the "file:"
prefix, no protocol but "file" is allowed, and only the containers below are recognised,
none of which refers to other files by FFmpeg's defaults.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

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
from vemoclap_client.media._reader import FileReader

VIDEO_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2 matroska,webm avi mpegts mpeg mpegvideo flv kux asf asf_o ogg mxf "
    "nut nsv rm wtv dv gif apng swf gxf ivf obu av1 h261 h263 h264 hevc vvc evc m4v mjpeg vc1 "
    "dirac cavsvideo avs2 avs3 yuv4mpegpipe"
).replace(" ", ",")
"""FFmpeg's demuxers for containers and raw streams of video. Playlists are not among them."""

SOUND_FORMATS = "wav,w64,mp3,aac,ac3,eac3,flac,aiff,amr,caf,au,dts,tta,ape,wv"
"""Recognised only to say that such a file holds no pictures."""

MAX_PIXELS = 7680 * 4352
"""Larger pictures are refused by the decoders: a few bytes can claim to be gigabytes.

That is 8K, whose 4320 pixels decoders may pad to a multiple of 64.
"""

MAX_PIXELS_IN_THREADS = 4096 * 2304
"""Larger pictures are decoded by a single thread: each thread holds some of its own."""

READ_BYTES = 1 << 18
"""How much is read at a time, as FFmpeg does by itself."""

MOV_BOXES = (b"ftyp", b"mdat", b"wide", b"free", b"skip", b"moov")
"""What an MP4 or QuickTime file's first box can be."""

NOT_FOOTAGE = Disposition.attached_pic | Disposition.timed_thumbnails
"""Cover art and chapter thumbnails are stored as video streams, but are no video."""


NOT_MAIN_SOUND = (
    Disposition.comment
    | Disposition.visual_impaired
    | Disposition.hearing_impaired
    | Disposition.descriptions
    | Disposition.karaoke
    | Disposition.clean_effects
)
NOT_MAIN_TITLES = ("comment", "descri", "hearing impaired", "visually impaired")
"""Parts of the titles of such tracks."""

STILL_BRANDS = (b"avif", b"heic", b"heix", b"mif1", b"heim", b"heis")
"""Major brands of MP4 files that hold one picture (ISO/IEC 23008-12 and AVIF)."""


def lacks_memory(path: Path) -> DecodingLimitError:
    """The error of a file for which memory was refused."""
    return DecodingLimitError(
        f"{path}: the file needs more memory to decode than there is. Convert it to smaller "
        "pictures, for example to MP4 with H.264."
    )


class VideoFile:
    """A local video file, opened once; use it as a context manager.

    Pictures and sound are read by a container (FFmpeg's demuxer) each. They cannot share one: after
    seeks to frames, it gives packets of sound that depend on where it sought, and keeping all of
    a long clip's sound from the first pass would take gigabytes.

    Leaving it raises DecodingLimitError where memory was refused in between.
    """

    def __init__(self, path: Path, audio_track: int | None = None) -> None:
        """Opens the file; `audio_track` is the sound track to read, from 1, or None for the main.

        Raises:
            VideoNotFoundError: there is no such file, it is a folder or a device, or may not be
                read.
            EmptyVideoError: it has zero bytes.
        """
        check_file(path)
        self.path = path
        self.audio_track = audio_track
        self._file = path.open("rb", buffering=0)
        self._readers: list[FileReader] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        self._file.close()
        # What FFmpeg was given then ends too early: neither a result nor an error is right.
        lacked_memory = any(reader.lacked_memory for reader in self._readers)
        if lacked_memory and (kind is None or issubclass(kind, VideoError)):
            raise lacks_memory(self.path)

    def open_container(self) -> InputContainer:
        """Begins to read the file from its start; use the result as a context manager.

        Raises:
            NotAVideoError: it is in no container that can be read.
            UndecodableVideoError: an MP4 without its index.
        """
        descriptor = self._file.fileno()
        kind, brand = os.pread(descriptor, 4, 4), os.pread(descriptor, 4, 8)
        if kind == b"ftyp" and brand in STILL_BRANDS:
            raise NotAVideoError(
                f"{self.path}: this is a still picture ({brand.decode()}). Give a video."
            )
        reader = FileReader(descriptor, f"file:{self.path}")
        self._readers.append(reader)
        try:
            return av.open(
                reader,
                "r",
                options={
                    "protocol_whitelist": "file",
                    "format_whitelist": f"{VIDEO_FORMATS},{SOUND_FORMATS}",
                    "max_pixels": str(MAX_PIXELS),
                },
                metadata_errors="replace",
                buffer_size=READ_BYTES,
            )
        except av.FFmpegError as error:
            if os.pread(descriptor, 4, 4) in MOV_BOXES:
                raise UndecodableVideoError(
                    f"{self.path}: this MP4 or MOV file has no usable index (its 'moov' box is "
                    "missing or damaged). The recording or the download was probably cut off: get "
                    "the file again."
                ) from error
            raise NotAVideoError(
                f"{self.path}: this is not a video file in any known format. "
                "Give a video such as MP4, MOV, MKV, WebM, AVI or MPEG-TS."
            ) from error


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open a file and read it from its start.

    Raises:
        VideoError: as VideoFile and VideoFile.open_container.
    """
    with VideoFile(path) as file, file.open_container() as container:
        yield container


def check_file(path: Path) -> None:
    """Returns if there is a file that can be read; it is not opened.

    Raises:
        VideoError: as VideoFile.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise VideoNotFoundError(f"{path}: there is no such file. Check the path.") from error
    except (OSError, ValueError) as error:
        raise VideoNotFoundError(
            f"{path}: the file cannot be read ({error}). Check its name and permissions."
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise VideoNotFoundError(f"{path}: this is a folder. Give the path of a video file.")
    if not stat.S_ISREG(status.st_mode):
        raise VideoNotFoundError(f"{path}: this is a device or a pipe. Give a video file.")
    if not os.access(path, os.R_OK):
        raise VideoNotFoundError(f"{path}: the file cannot be read. Check its permissions.")
    if not status.st_size:
        raise EmptyVideoError(f"{path}: the file is empty (0 bytes). Copy or download it again.")


def choose_video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream to decode: the one marked as default, then the one with the largest picture.

    Raises:
        NoVideoStreamError: there is none; cover art does not count.
        UndecodableVideoError: there is one, but FFmpeg has no decoder for it.
    """
    streams = [s for s in container.streams.video if not s.disposition & NOT_FOOTAGE]
    if not streams:
        raise NoVideoStreamError(f"{path}: the file has no pictures, at most sound. Give a video.")
    decodable = [stream for stream in streams if has_decoder(stream)]
    if not decodable:
        raise UndecodableVideoError(
            f"{path}: there is no decoder for the codec of its pictures. "
            "Convert the file, for example to MP4 with H.264."
        )
    return max(decodable, key=_preference)


def _preference(stream: VideoStream) -> tuple[bool, int]:
    context = stream.codec_context
    return bool(stream.disposition & Disposition.default), context.width * context.height


def choose_audio_stream(container: InputContainer) -> AudioStream | None:
    """The main sound: the first of those that no other is preferred to; None if there is none.

    Streams that can be decoded are preferred, then those that are no commentary, description or
    version for the hearing-impaired, then those marked as default.
    """
    return max(container.streams.audio, key=_audio_preference, default=None)


def numbered_audio_stream(container: InputContainer, number: int, path: Path) -> AudioStream:
    """The sound track of a number, from 1.

    Raises:
        AudioTrackError: there is none of this number; the message lists those that there are.
    """
    streams = container.streams.audio
    if 1 <= number <= len(streams):
        return streams[number - 1]
    there = ", ".join(
        f"{index} ({' '.join(filter(None, (stream.language, stream.metadata.get('title'))))})"
        for index, stream in enumerate(streams, 1)
    )
    raise AudioTrackError(
        f"{path}: there is no sound track {number}; there are: {there or 'none'}."
    )


def _audio_preference(stream: AudioStream) -> tuple[bool, bool, bool]:
    disposition = stream.disposition
    is_main = not disposition & NOT_MAIN_SOUND and not _is_commentary(stream)
    return has_decoder(stream), is_main, bool(disposition & Disposition.default)


def _is_commentary(stream: AudioStream) -> bool:
    """Whether the title says so: many files lack the disposition."""
    title = (stream.metadata.get("title") or stream.metadata.get("handler_name") or "").lower()
    return any(word in title for word in NOT_MAIN_TITLES)


def has_decoder(stream: VideoStream | AudioStream) -> bool:
    """Whether FFmpeg can decode the stream's codec (PyAV's types do not tell that it may not)."""
    context: object = stream.codec_context
    return context is not None


def use_threads(stream: VideoStream) -> None:
    """Let the decoder use threads, but few: each holds raw frames, 12 MB each in 4K."""
    context = stream.codec_context
    is_large = context.width * context.height > MAX_PIXELS_IN_THREADS
    context.thread_type = "AUTO"
    context.thread_count = 1 if is_large else min(4, os.cpu_count() or 1)
    context.options = {"max_pixels": str(MAX_PIXELS)}


def read_packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Stream]]:
    """These streams' packets from where the file stands, without PyAV's empty last ones.

    A file that cannot be read on simply ends there: what came before is still good.
    """
    try:
        for packet in container.demux(streams):
            if packet.size:
                yield packet
    except av.FFmpegError:
        return
