"""Puts the pictures of one file and the sound of another into one file, as they are."""

from __future__ import annotations

import heapq
from fractions import Fraction
from io import RawIOBase

import av
from av.packet import Packet
from av.stream import Stream

from vemoclap_client.errors import UndecodableVideoError
from vemoclap_client.media.container import (
    VideoFile,
    choose_audio_stream,
    choose_video_stream,
    read_packets,
)


def join(pictures: VideoFile, sound: VideoFile, target: RawIOBase) -> None:
    """Writes a Matroska file of both; nothing is encoded anew.

    Raises:
        VideoError: one of them cannot be read, or they do not fit together.
    """
    try:
        _join(pictures, sound, target)
    except av.FFmpegError as error:
        raise UndecodableVideoError(
            f"{pictures.path}: its pictures and its sound come apart, and cannot be joined."
        ) from error


def _join(pictures: VideoFile, sound: VideoFile, target: RawIOBase) -> None:
    with (
        pictures.open_container() as video_file,
        sound.open_container() as audio_file,
        av.open(target, "w", format="matroska") as joined,
    ):
        video = choose_video_stream(video_file, pictures.path)
        audio = choose_audio_stream(audio_file)
        if audio is None:
            raise UndecodableVideoError(f"{sound.path}: there is no sound")
        copies: dict[Stream, Stream] = {
            stream: joined.add_stream_from_template(stream) for stream in (video, audio)
        }
        sources = read_packets(video_file, video), read_packets(audio_file, audio)
        for packet in heapq.merge(*sources, key=_time_s):
            if packet.dts is not None:
                packet.stream = copies[packet.stream]
                joined.mux(packet)


def _time_s(packet: Packet[Stream]) -> Fraction:
    return (packet.dts or 0) * (packet.time_base or Fraction(0))
