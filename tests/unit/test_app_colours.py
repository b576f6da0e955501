"""The app's colours can be told apart and read, and its settings are those that are relied on."""

import tomllib
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ui.parts.palette import EMOTION_COLOURS, NEUTRAL_COLOUR
from vemoclap_client.contract import EMOTIONS

APART = 20.0
"""Smallest distance in CIELAB; 2.3 is just seen when two large fields lie side by side."""

CONTRAST = 3.0
"""Of marks and of controls' borders with what is behind them. Source: WCAG 2.2, 1.4.11."""

TEXT_CONTRAST = 4.5
"""Of text. Source: WCAG 2.2, 1.4.3."""

CONFIG = Path(__file__).parents[2] / "ui" / ".streamlit" / "config.toml"
CAPTION_OPACITY = 0.6
"""Streamlit writes captions in the text's colour with this opacity."""

WARNING_BACKGROUND = {"light": "#FFFAE5", "dark": "#302917"}
"""Streamlit's own, behind st.warning."""

BACKGROUNDS = ("backgroundColor", "secondaryBackgroundColor")

WHITE, BLACK = "#FFFFFF", "#000000"
DARK_THEME = "#14191C"
VISIONS = {
    "usual": np.eye(3),
    # On linear RGB, for complete loss of a kind of cone. Source: Machado, Oliveira, Fernandes: A
    # physiologically-based model for simulation of color vision deficiency (2009), table 1.
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# Linear sRGB to CIE XYZ under daylight (D65). Source: IEC 61966-2-1.
TO_XYZ = np.array(
    [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
)


def linear(colour: str) -> NDArray[np.float64]:
    """#RRGGBB as linear RGB, 0 to 1."""
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear RGB as CIELAB."""
    relative = TO_XYZ @ np.clip(rgb, 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: str, other: str) -> float:
    """WCAG's contrast of two colours: 1 to 21."""
    darker, lighter = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def over(front: str, behind: str, opacity: float) -> str:
    """The colour of a translucent one on another."""
    pairs = ((int(front[i : i + 2], 16), int(behind[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(opacity * f + (1 - opacity) * b):02X}" for f, b in pairs)


def config() -> dict[str, Any]:
    return tomllib.loads(CONFIG.read_text(encoding="utf-8"))


def distance(one: str, other: str, vision: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(lab(vision @ linear(one)) - lab(vision @ linear(other))))


def test_every_emotion_has_a_colour() -> None:
    assert tuple(EMOTION_COLOURS) == EMOTIONS


def test_the_measure_knows_what_is_confused() -> None:
    # Red and green of one lightness, which people without red or green cones confuse.
    red, green = "#B45A3C", "#7A7A3C"
    assert distance(red, green, VISIONS["usual"]) > APART
    assert distance(red, green, VISIONS["deuteranopia"]) < APART
    assert contrast(WHITE, BLACK) == pytest.approx(21.0)


@pytest.mark.parametrize("vision", VISIONS)
def test_all_pairs_are_told_apart(vision: str) -> None:
    distances = {
        (one, other): distance(EMOTION_COLOURS[one], EMOTION_COLOURS[other], VISIONS[vision])
        for one, other in combinations(EMOTIONS, 2)
    }
    assert min(distances.values()) > APART, min(distances, key=lambda pair: distances[pair])


@pytest.mark.parametrize("background", [WHITE, BLACK, DARK_THEME])
@pytest.mark.parametrize("colour", [*EMOTION_COLOURS.values(), NEUTRAL_COLOUR])
def test_each_stands_out_from_the_background(colour: str, background: str) -> None:
    assert contrast(colour, background) >= CONTRAST


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read(mode: str) -> None:
    theme = config()["theme"][mode]
    for background in BACKGROUNDS:
        behind = theme[background]
        text = theme["textColor"]
        assert contrast(over(text, behind, CAPTION_OPACITY), behind) >= TEXT_CONTRAST
        assert contrast(theme["linkColor"], behind) >= TEXT_CONTRAST
    warning = WARNING_BACKGROUND[mode]
    assert contrast(theme["yellowTextColor"], warning) >= TEXT_CONTRAST


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_controls_can_be_seen(mode: str) -> None:
    theme = config()["theme"][mode]
    for background in BACKGROUNDS:
        behind = theme[background]
        assert contrast(theme["borderColor"], behind) >= CONTRAST
        assert contrast(theme["primaryColor"], behind) >= CONTRAST
    assert contrast(WHITE, theme["primaryColor"]) >= TEXT_CONTRAST


def test_nothing_is_sent_elsewhere_and_pages_of_others_cannot_use_the_app() -> None:
    found = config()
    assert found["browser"]["gatherUsageStats"] is False
    assert found["server"]["enableCORS"] is True
    assert found["server"]["enableXsrfProtection"] is True
    assert found["server"]["address"] == "127.0.0.1"


def test_streamlit_knows_every_setting() -> None:
    from streamlit.config import get_config_options

    known = get_config_options()
    for section, options in config().items():
        for name, value in options.items():
            names = [f"{section}.{name}"]
            if isinstance(value, dict):
                names = [f"{section}.{name}.{inner}" for inner in value]
            assert set(names) <= set(known)
