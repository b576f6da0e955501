"""The app's colours can be read, and its settings are those that are relied on."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

CONFIG = Path(__file__).parents[2] / "ui" / ".streamlit" / "config.toml"
TEXT_RATIO = 4.5
"""WCAG 2.2, 1.4.3: text against what is behind it."""

PART_RATIO = 3.0
"""WCAG 2.2, 1.4.11: borders of controls against what is beside them."""

CAPTION_OPACITY = 0.6
"""Streamlit writes captions in the text's colour with this opacity."""

WARNING_BACKGROUND = {"light": "#FFFAE5", "dark": "#302917"}
"""Streamlit's own, behind st.warning."""

BACKGROUNDS = ("backgroundColor", "secondaryBackgroundColor")
Colour = tuple[float, float, float]


def settings() -> dict[str, Any]:
    return tomllib.loads(CONFIG.read_text(encoding="utf-8"))


def read(colour: str) -> Colour:
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def over(front: Colour, behind: Colour, opacity: float) -> Colour:
    red, green, blue = (opacity * f + (1 - opacity) * b for f, b in zip(front, behind, strict=True))
    return red, green, blue


def luminance(colour: Colour) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_of_black_on_white_is_21() -> None:
    assert contrast(read("#000000"), read("#FFFFFF")) == pytest.approx(21)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read(mode: str) -> None:
    theme = settings()["theme"][mode]
    for background in BACKGROUNDS:
        behind = read(theme[background])
        text = read(theme["textColor"])
        assert contrast(over(text, behind, CAPTION_OPACITY), behind) >= TEXT_RATIO
        assert contrast(read(theme["linkColor"]), behind) >= TEXT_RATIO
    warning = read(WARNING_BACKGROUND[mode])
    assert contrast(read(theme["yellowTextColor"]), warning) >= TEXT_RATIO


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_controls_can_be_seen(mode: str) -> None:
    theme = settings()["theme"][mode]
    for background in BACKGROUNDS:
        behind = read(theme[background])
        assert contrast(read(theme["borderColor"]), behind) >= PART_RATIO
        assert contrast(read(theme["primaryColor"]), behind) >= PART_RATIO
    assert contrast(read("#FFFFFF"), read(theme["primaryColor"])) >= TEXT_RATIO


def test_nothing_is_sent_elsewhere_and_pages_of_others_cannot_use_the_app() -> None:
    found = settings()
    assert found["browser"]["gatherUsageStats"] is False
    assert found["server"]["enableCORS"] is True
    assert found["server"]["enableXsrfProtection"] is True
    assert found["server"]["address"] == "127.0.0.1"


def test_streamlit_knows_every_setting() -> None:
    from streamlit import config

    known = config.get_config_options()
    for section, options in settings().items():
        for name, value in options.items():
            names = [f"{section}.{name}"]
            if isinstance(value, dict):
                names = [f"{section}.{name}.{inner}" for inner in value]
            assert set(names) <= set(known)
