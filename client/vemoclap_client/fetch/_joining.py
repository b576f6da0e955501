"""Puts pictures and sound that a site has in two files into one, as they are."""

from __future__ import annotations

import heapq
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.stream import Stream

from vemoclap_client.errors import NothingThereError, VideoError
from vemoclap_client.media.container import (
    choose_audio_stream,
    choose_video_stream,
    open_container,
    read_packets,
)


def join(pictures: Path, sound: Path, target: Path, url: str) -> Path:
    """Writes a Matroska file of both; nothing is encoded anew.

    Raises:
        NothingThereError: one of them cannot be read.
    """
    try:
        _join(pictures, sound, target)
    except (VideoError, av.FFmpegError) as error:
        raise NothingThereError(
            f"{url}: its pictures and its sound come apart, and cannot be joined. "
            "Download the video yourself and give the file."
        ) from error
    return target


def _join(pictures: Path, sound: Path, target: Path) -> None:
    with (
        open_container(pictures) as video_file,
        open_container(sound) as audio_file,
        av.open(f"file:{target}", "w", format="matroska") as joined,
    ):
        video = choose_video_stream(video_file, pictures)
        audio = choose_audio_stream(audio_file)
        if audio is None:
            raise VideoError(f"{sound.name}: there is no sound")
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
