"""The clips that are sent, decoded once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vemoclap_client.contract import SAMPLE_RATE_HZ
from vemoclap_client.media.video import decode

SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi")
VOICELESS_HZ = 440.0
VOICELESS_AMPLITUDE = 0.1


class NoClipsError(Exception):
    """There is nothing to send."""


@dataclass(frozen=True)
class Clip:
    """A decoded clip: frames uint8 [16, H, W, 3], audio float32 [samples]."""

    path: Path
    frames: NDArray[np.uint8]
    audio: NDArray[np.float32]
    duration_s: float


def read_clips(paths: Sequence[Path]) -> list[Clip]:
    """Decodes files, and those in folders, by name.

    Raises:
        NoClipsError: there is none.
    """
    files = [
        file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])
    ]
    files = [file for file in files if file.suffix.lower() in SUFFIXES and file.is_file()]
    if not files:
        listed = ", ".join(map(str, paths))
        raise NoClipsError(f"no clip in {listed}: run `make samples`, or name a folder of clips")
    decoded = [(file, decode(file)) for file in files]
    return [Clip(file, clip.frames, clip.audio, clip.duration_s) for file, clip in decoded]


def without_voice(clip: Clip) -> Clip:
    """The clip with a tone in place of its sound, in which there is nothing to transcribe."""
    times_s = np.arange(len(clip.audio)) / SAMPLE_RATE_HZ
    tone = VOICELESS_AMPLITUDE * np.sin(2 * np.pi * VOICELESS_HZ * times_s)
    return replace(clip, audio=tone.astype(np.float32))
