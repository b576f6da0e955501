"""What a limited process does: opens its files, is sealed, then reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av

from vemoclap_client.limited._messages import Found, Picture, Written
from vemoclap_client.media import joining
from vemoclap_client.media.container import VideoFile, choose_video_stream
from vemoclap_client.media.parts import decode_file_parts
from vemoclap_client.media.video import decode_file, open_pictures

Seal = Callable[[], None]
"""Is called once the files are open, and before anything is read of them."""


def decode_clip(seal: Seal, path: Path, audio_track: int | None) -> Iterator[object]:
    """A DecodedClip."""
    with VideoFile(path, audio_track) as file:
        seal()
        yield decode_file(file)


def decode_parts(
    seal: Seal, path: Path, window_s: float, hop_s: float, audio_track: int | None
) -> Iterator[object]:
    """What media.parts.decode_parts gives."""
    with VideoFile(path, audio_track) as file:
        seal()
        yield from decode_file_parts(file, window_s, hop_s)


def decode_middle_frame(seal: Seal, path: Path) -> Iterator[object]:
    """The Picture in the middle of a clip."""
    with VideoFile(path) as file:
        seal()
        with open_pictures(file) as video:
            _, image = next(video.frames_at([video.index.duration_s / 2]))
        yield Picture(image)


def look_at(seal: Seal, path: Path) -> Iterator[object]:
    """Found, of a file with pictures that there is a decoder for; none is decoded."""
    with VideoFile(path) as file:
        seal()
        with file.open_container() as container:
            choose_video_stream(container, path)
            yield Found((container.duration or 0) / av.time_base)


def join(seal: Seal, pictures: Path, sound: Path, target: Path) -> Iterator[object]:
    """Written, once media.joining.join has written the target, which is a new file."""
    with (
        VideoFile(pictures) as video,
        VideoFile(sound) as audio,
        target.open("xb", buffering=0) as file,
    ):
        seal()
        joining.join(video, audio, file)
    yield Written()


TASKS: dict[str, Callable[..., Iterator[Any]]] = {
    task.__name__: task for task in (decode_clip, decode_parts, decode_middle_frame, look_at, join)
}
