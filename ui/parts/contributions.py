"""Which modality spoke for which emotion."""

from ui.parts.palette import EMOTION_COLOURS
from ui.parts.words import MODALITY_NAMES, quoted, signed
from vemoclap_client.contract import EMOTIONS, MODALITIES
from vemoclap_client.result import EmotionResult

WORTH_SHOWING = 0.005
"""Smaller differences would be written as 0.00."""

ALPHA_MAX = 0.85


def contributions_html(result: EmotionResult) -> str:
    """A table of modalities and emotions: what each changed in each probability.

    The sign is written and the size tints the cell, so that nothing is said by colour alone.
    """
    heads = "".join(f'<th scope="col">{emotion}</th>' for emotion in EMOTIONS)
    rows = "".join(_row(modality, result) for modality in MODALITIES)
    return (
        '<div class="v-scroll" tabindex="0" role="region" aria-label="Contributions, a table">'
        f'<table class="v-table"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def contributions_sentence(result: EmotionResult) -> str:
    """Which modality spoke most for the emotion that was found."""
    emotion = result.emotion
    if emotion is None:
        return "Nothing speaks for one emotion more than for another."
    gains = {modality: result.contributions[modality][emotion] for modality in MODALITIES}
    most = max(gains, key=lambda modality: gains[modality])
    if gains[most] < WORTH_SHOWING:
        return f"No single source made {emotion} more probable: leaving one out changes little."
    name = MODALITY_NAMES[most]
    return (
        f"{name.capitalize()} spoke most for {emotion}: without, it would be {_loss(gains[most])}."
    )


def _loss(gain: float) -> str:
    return f"{gain * 100:.0f} points less probable" if gain >= 0.01 else "slightly less probable"


def _row(modality: str, result: EmotionResult) -> str:
    name = f'<th scope="row">{MODALITY_NAMES[modality]}</th>'
    if modality in result.absent:
        reason = quoted(result.absent[modality])
        return f'<tr class="v-absent">{name}<td colspan="{len(EMOTIONS)}">{reason}</td></tr>'
    differences = result.contributions[modality]
    return f"<tr>{name}{''.join(_cell(emotion, differences[emotion]) for emotion in EMOTIONS)}</tr>"


def _cell(emotion: str, value: float) -> str:
    if abs(value) < WORTH_SHOWING:
        return '<td><span class="v-cell v-none">0</span></td>'
    if value < 0:
        return f'<td><span class="v-cell v-against">{signed(value)}</span></td>'
    share = round(100 * min(1.0, value) * ALPHA_MAX + 12)
    tint = f"color-mix(in srgb, {EMOTION_COLOURS[emotion]} {min(share, 60)}%, transparent)"
    return f'<td><span class="v-cell v-for" style="background:{tint}">{signed(value)}</span></td>'
