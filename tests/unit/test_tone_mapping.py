"""HDR on a screen of the usual range, against values of the standards."""

from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from tests.clips import write_clip
from vemoclap_client.media._tone_mapping import HLG, PQ, light_to_pq, pq_to_light, tone_mapped
from vemoclap_client.media.video import decode_frames

PQ_VALUES = {0.0: 0.0, 0.1: 0.0623, 1.0: 0.1499, 100.0: 0.5081, 1000.0: 0.7518, 10_000.0: 1.0}
"""cd/m2 -> PQ value, as ST 2084 and BT.2100 tabulate it."""


@pytest.mark.parametrize(("light", "value"), PQ_VALUES.items())
def test_pq_is_that_of_the_standard(light: float, value: float) -> None:
    assert float(light_to_pq(np.array(light))) == pytest.approx(value, abs=5e-5)
    assert float(pq_to_light(light_to_pq(np.array(light)))) == pytest.approx(light, rel=1e-9)


def grey(value: float) -> NDArray[np.uint16]:
    return np.full((1, 1, 3), round(value * 65_535), np.uint16)


def test_the_dark_half_keeps_its_light() -> None:
    """Below BT.2390's knee a screen of gamma 2.4 and 203 cd/m2 gives the light that is meant."""
    for light in (0.5, 1, 5, 10, 40):
        (level,) = set(tone_mapped(grey(float(light_to_pq(np.array(light)))), PQ).ravel().tolist())
        assert 203 * (level / 255) ** 2.4 == pytest.approx(light, rel=0.06, abs=0.1)


def test_the_bright_half_is_compressed_in_order() -> None:
    ramp = np.linspace(0, 1, 256)
    levels = [int(tone_mapped(grey(value), PQ)[0, 0, 0]) for value in ramp]
    assert levels == sorted(levels)
    assert levels[-1] == 255
    assert int(tone_mapped(grey(float(light_to_pq(np.array(203.0)))), PQ)[0, 0, 0]) == 230


def test_white_of_hlg_is_that_of_pq() -> None:
    """BT.2408: 75 % HLG and 58 % PQ are the same white of 203 cd/m2."""
    assert abs(int(tone_mapped(grey(0.75), HLG)[0, 0, 0]) - 230) <= 1


def test_a_saturated_colour_keeps_its_hue() -> None:
    red, green, blue = tone_mapped(np.array([[[40_000, 5_000, 5_000]]], np.uint16), PQ)[0, 0]
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_a_clip_in_hdr_is_mapped(tmp_path: Path, transfer: str) -> None:
    # A ramp of greys, stored in 10 bits with BT.2020's matrix.
    luma = np.repeat(np.linspace(64, 940, 96).astype(np.uint16)[None], 64, axis=0)
    frame = VideoFrame(96, 64, "yuv420p10le")
    for plane, values in zip(
        frame.planes, (luma, *[np.full((32, 48), 512, np.uint16)] * 2), strict=True
    ):
        padded = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        padded[:, : values.shape[1]] = values
        plane.update(padded.tobytes())
    path = write_clip(
        tmp_path / "clip.mkv",
        codec="libx265",
        pixel_format="yuv420p10le",
        frames=[frame] * 3,
        options={
            "preset": "ultrafast",
            "x265-params": f"log-level=none:pools=1:lossless=1:transfer={transfer}"
            ":colorprim=bt2020:colormatrix=bt2020nc",
        },
    )
    found = decode_frames(path)
    assert ["HDR" in warning for warning in found.warnings] == [True]
    row = found.images[0, 180].astype(int)
    assert np.ptp(row, axis=1).max() <= 2  # Greys stay grey.
    stored = np.linspace(0, 1, 96)
    kind = PQ if transfer == "smpte2084" else HLG
    expected = [int(tone_mapped(grey(value), kind)[0, 0, 0]) for value in stored]
    centres = ((np.arange(96) + 0.5) * row.shape[0] / 96).astype(int)
    assert np.abs(row[centres, 0] - expected)[2:-2].max() <= 3
