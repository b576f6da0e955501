"""Writes pictures and sound as an MP4 file."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from PIL import Image, ImageDraw, ImageFont

WIDTH_PX, HEIGHT_PX = 640, 360
FRAMES_PER_S = 25
REPRODUCIBLE = {"threads": "1", "flags": "+bitexact"}
"""The same file every time: no order of threads, no version of the encoder in it."""

Sound = tuple[npt.NDArray[np.int16], int]
"""Mono samples [n], and their rate in Hz."""


def write(path: Path, frames: Iterable[Image.Image], sound: Sound | None = None) -> None:
    """Write H.264 pictures of 640 x 360 and, if there is sound, AAC."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", FRAMES_PER_S, options=REPRODUCIBLE)
        video.width, video.height, video.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        voice = sound and container.add_stream("aac", sound[1], options=REPRODUCIBLE, layout="mono")
        for frame in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.asarray(frame))))
        container.mux(video.encode())
        if sound and voice:
            _write_sound(container, voice, sound)


def _write_sound(container: OutputContainer, stream: av.AudioStream, sound: Sound) -> None:
    samples, rate_hz = sound
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.time_base, frame.pts = rate_hz, Fraction(1, rate_hz), 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode())


def draw_centred(frame: Image.Image, text: str, middle_y_px: int, size_px: int) -> None:
    """Draw white text with a dark outline, centred at a height, in Pillow's built-in font."""
    ImageDraw.Draw(frame).text(
        (WIDTH_PX // 2, middle_y_px),
        text,
        fill="white",
        font=ImageFont.load_default(size_px),
        anchor="mm",
        align="center",
        stroke_width=2,
        stroke_fill="black",
    )
