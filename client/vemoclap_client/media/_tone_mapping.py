"""Maps pictures of a high dynamic range (PQ, HLG; BT.2020) to the range of a usual screen.

Sources: SMPTE ST 2084 (PQ), ITU-R BT.2100-2 (HLG and its system gamma), BT.2390-11 section 5.4.1
(tone mapping), BT.2408-7 (203 cd/m2 is the white of a usual picture), BT.2087-0 (BT.2020 to BT.709
colours), BT.1886 (a usual screen's gamma of 2.4).
"""

from functools import cache

import numpy as np
from av.video.reformatter import ColorTrc
from numpy.typing import NDArray

PQ, HLG = ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67
HDR_TRANSFERS = (PQ, HLG)

PQ_PEAK = 10_000.0
MASTERING_PEAK = 1_000.0
"""cd/m2 of the brightest picture that is told apart; brighter ones become white."""
WHITE = 203.0
SCREEN_GAMMA = 2.4

M1, M2 = 2610 / 16384, 2523 / 4096 * 128
C1, C2, C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
"""Constants of ST 2084."""

HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073
HLG_GAMMA = 1.2
"""BT.2100: the system gamma of a screen of 1,000 cd/m2."""

BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)


def tone_mapped(image: NDArray[np.uint16], transfer: ColorTrc) -> NDArray[np.uint8]:
    """An image for a usual screen.

    Args:
        image: uint16 [H, W, 3], RGB with BT.2020's primaries, full range, encoded by `transfer`.
        transfer: one of HDR_TRANSFERS.

    Returns:
        uint8 [H, W, 3], RGB with BT.709's primaries, for a gamma of 2.4.
    """
    light = _hlg_light(image) if transfer == HLG else _table(PQ)[image]
    brightest = light.max(axis=2, keepdims=True)
    # The factor depends on the brightest colour alone, which keeps the hue.
    mapped = light * (_mapped(brightest) / np.maximum(brightest, 1e-6))
    relative = np.clip(mapped @ BT2020_TO_BT709.T / WHITE, 0, 1)
    encoded: NDArray[np.uint8] = np.rint(relative ** (1 / SCREEN_GAMMA) * 255).astype(np.uint8)
    return encoded


def pq_to_light(value: NDArray[np.floating]) -> NDArray[np.floating]:
    """ST 2084's EOTF: 0 to 1 -> cd/m2."""
    root = np.power(value, 1 / M2)
    return np.asarray(PQ_PEAK * np.power(np.maximum(root - C1, 0) / (C2 - C3 * root), 1 / M1))


def light_to_pq(light: NDArray[np.floating]) -> NDArray[np.floating]:
    """ST 2084's inverse EOTF: cd/m2 -> 0 to 1."""
    power = np.power(np.maximum(light, 0) / PQ_PEAK, M1)
    return np.asarray(np.power((C1 + C2 * power) / (1 + C3 * power), M2))


@cache
def _table(transfer: ColorTrc) -> NDArray[np.float32]:
    """float32 [65536]: cd/m2 for PQ, scene light 0 to 1 for HLG, of each 16-bit value."""
    value = np.arange(1 << 16) / ((1 << 16) - 1)
    if transfer == PQ:
        return pq_to_light(value).astype(np.float32)
    bright = (np.exp((value - HLG_C) / HLG_A) + HLG_B) / 12
    return np.where(value <= 0.5, value**2 / 3, bright).astype(np.float32)


def _hlg_light(image: NDArray[np.uint16]) -> NDArray[np.float32]:
    """BT.2100's OOTF for a screen of 1,000 cd/m2."""
    scene = _table(HLG)[image]
    luminance = np.maximum(scene @ BT2020_LUMINANCE, 1e-6)[..., None]
    display: NDArray[np.float32] = MASTERING_PEAK * luminance ** (HLG_GAMMA - 1) * scene
    return display


def _mapped(light: NDArray[np.float32]) -> NDArray[np.floating]:
    """BT.2390's tone mapping from MASTERING_PEAK to WHITE, both cd/m2; the black stays."""
    peak = light_to_pq(np.array(MASTERING_PEAK))
    value = np.clip(light_to_pq(light) / peak, 0, 1)
    top = float(light_to_pq(np.array(WHITE)) / peak)
    knee = 1.5 * top - 0.5
    t = np.clip((value - knee) / (1 - knee), 0, 1)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * top
    )
    return pq_to_light(np.where(value < knee, value, spline) * peak)
