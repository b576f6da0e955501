"""What was said, written and heard, and what was not there."""

from collections.abc import Mapping, Sequence
from typing import Any

from ui.parts.words import MODALITY_NAMES, clock, language_name, percent, quoted
from vemoclap_client.contract import ENGLISH, MODALITIES

WAITING = '<p class="v-quiet">not known yet</p>'


def speech_html(known: Mapping[str, Any]) -> str:
    """The transcript with its times, its language and its translation."""
    speech = known.get("speech")
    if not speech:
        return _nothing(known, "speech", "speech")
    language = f"{language_name(speech['language'])}, {percent(speech['language_probability'])}"
    segments = "".join(
        f"<li><time>{clock(segment['start_s'])}</time><span>{quoted(segment['text'])}</span></li>"
        for segment in speech["segments"]
    )
    return (
        f'<p class="v-quiet">{quoted(language)}{_mood(speech)}</p>'
        '<ol class="v-said" tabindex="0" aria-label="Transcript" '
        f'lang="{quoted(speech["language"])}">{segments}</ol>'
        f"{_translation(speech)}"
    )


def screen_text_html(known: Mapping[str, Any]) -> str:
    """What was written on the screen, line by line as it first appeared."""
    writing = known.get("screen_text")
    if not writing:
        return _nothing(known, "screen_text", "text")
    first: dict[str, float] = {}
    for line in writing["lines"]:
        first.setdefault(line["text"], line["time_s"])
    items = "".join(
        f"<li><time>{clock(time_s)}</time><span>{quoted(text)}</span></li>"
        for text, time_s in first.items()
    )
    language = quoted(language_name(writing["language"]))
    translation = "" if writing["language"] == ENGLISH else _english(writing["text"])
    return (
        f'<p class="v-quiet">{language}{_mood(writing)}</p>'
        f'<ol class="v-said">{items}</ol>{translation}'
    )


def audio_events_html(known: Mapping[str, Any]) -> str:
    """What was heard, as bars with their probabilities."""
    events = known.get("audio_events")
    if not events:
        return _nothing(known, "audio_events", "audio")
    items = "".join(
        f"<li><span>{quoted(event['name'])}</span><span>{percent(event['probability'])}</span>"
        f'<span class="v-track"><span style="width:{100 * event["probability"]:.1f}%"></span>'
        "</span></li>"
        for event in events
    )
    return f'<ul class="v-heard">{items}</ul>'


def caption_html(caption: Mapping[str, Any]) -> str:
    """What one frame shows, in the sentence that a network wrote."""
    when = clock(caption["time_s"])
    return (
        f'<blockquote class="v-caption"><p>{quoted(caption["text"])}</p>'
        f'<p class="v-quiet">written by a network about the frame at {when}</p></blockquote>'
    )


def absent_html(absent: Mapping[str, str]) -> str:
    """What said nothing, and why."""
    items = "".join(
        f"<li><strong>{MODALITY_NAMES[name]}</strong>: {quoted(absent[name])}</li>"
        for name in MODALITIES
        if name in absent
    )
    return f'<ul class="v-plain">{items}</ul>'


def warnings_html(warnings: Sequence[str]) -> str:
    """What was unusual about the file."""
    items = "".join(f"<li>{quoted(warning)}</li>" for warning in warnings)
    return f'<ul class="v-plain">{items}</ul>'


def timings_html(timings_ms: Mapping[str, float]) -> str:
    """What took how long."""
    rows = "".join(
        f'<tr><th scope="row">{quoted(name.replace("_", " "))}</th><td>{value:.0f} ms</td></tr>'
        for name, value in timings_ms.items()
    )
    return f'<table class="v-table v-timings"><tbody>{rows}</tbody></table>'


def _nothing(known: Mapping[str, Any], word: str, modality: str) -> str:
    reason = (known.get("absent") or {}).get(modality)
    if reason:
        return f'<p class="v-quiet">None: {quoted(reason)}</p>'
    return '<p class="v-quiet">None was found.</p>' if word in known else WAITING


def _mood(text: Mapping[str, Any]) -> str:
    sentiment = text["sentiment"]
    if not sentiment:
        return ""
    most = max(sentiment, key=lambda name: sentiment[name])
    return f" · {quoted(most)} in tone, {percent(sentiment[most])}"


def _translation(speech: Mapping[str, Any]) -> str:
    spoken = " ".join(segment["text"].strip() for segment in speech["segments"])
    same = speech["language"] == ENGLISH or speech["text"].strip() == spoken
    return "" if same else _english(speech["text"])


def _english(text: str) -> str:
    return f'<p class="v-quiet">In English</p><p lang="en">{quoted(text)}</p>'
