"""What was said, written and heard, and what was not there, as HTML."""

from collections.abc import Iterable, Mapping, Sequence

from ui.jobs.job import Known
from ui.parts.words import MODALITY_NAMES, clock, language_name, percent, quoted
from vemoclap_client.analysis import Speech
from vemoclap_client.contract import ENGLISH, MODALITIES
from vemoclap_client.result import EmotionResult, TimedCaption

WAITING = '<p class="v-quiet">not known yet</p>'


def speech_html(known: Known) -> str:
    """The transcript with its times, its language and its translation."""
    speech = known.speech
    if speech is None:
        return _nothing(known, "speech")
    language = f"{language_name(speech.language)}, {percent(speech.language_probability)}"
    segments = _timed((segment.start_s, segment.text) for segment in speech.segments)
    return (
        f'<p class="v-quiet">{quoted(language)}{_sentiment(speech.sentiment)}</p>'
        '<ol class="v-said" tabindex="0" aria-label="Transcript" '
        f'lang="{quoted(speech.language)}">{segments}</ol>'
        f"{_translation(speech)}"
    )


def screen_text_html(known: Known) -> str:
    """What was written on the screen, line by line as it first appeared."""
    found = known.screen_text
    if found is None:
        return _nothing(known, "text")
    first: dict[str, float] = {}
    for line in found.lines:
        first.setdefault(line.text, line.time_s)
    items = _timed((time_s, text) for text, time_s in first.items())
    language = quoted(language_name(found.language))
    translation = "" if found.language == ENGLISH else _english(found.text)
    return (
        f'<p class="v-quiet">{language}{_sentiment(found.sentiment)}</p>'
        f'<ol class="v-said">{items}</ol>{translation}'
    )


def audio_events_html(known: Known) -> str:
    """What was heard, as bars with their probabilities."""
    if not known.audio_events:
        return _nothing(known, "audio", is_known=known.audio_events is not None)
    items = "".join(
        f"<li><span>{quoted(event.name)}</span><span>{percent(event.probability)}</span>"
        f'<span class="v-track"><span style="width:{100 * event.probability:.1f}%"></span>'
        "</span></li>"
        for event in known.audio_events
    )
    return f'<ul class="v-heard">{items}</ul>'


def caption_html(caption: TimedCaption) -> str:
    """What one frame shows, in the sentence that a network wrote."""
    when = clock(caption.time_s)
    return (
        f'<blockquote class="v-caption"><p>{quoted(caption.text)}</p>'
        f'<p class="v-quiet">written by a network about the frame at {when}</p></blockquote>'
    )


def absent_html(absent: Mapping[str, str]) -> str:
    """The modalities of which there is nothing to use, and why."""
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


def _timed(lines: Iterable[tuple[float, str]]) -> str:
    """List items of texts, each with its time in seconds."""
    return "".join(
        f"<li><time>{clock(time_s)}</time><span>{quoted(text)}</span></li>"
        for time_s, text in lines
    )


def _nothing(known: Known, modality: str, is_known: bool = False) -> str:
    if modality in known.absent:
        return f'<p class="v-quiet">None: {quoted(known.absent[modality])}</p>'
    if is_known or isinstance(known, EmotionResult):
        return '<p class="v-quiet">None was found.</p>'
    return WAITING


def _sentiment(sentiment: Mapping[str, float] | None) -> str:
    if not sentiment:
        return ""
    most = max(sentiment, key=lambda name: sentiment[name])
    return f" · {quoted(most)} in tone, {percent(sentiment[most])}"


def _translation(speech: Speech) -> str:
    spoken = " ".join(segment.text.strip() for segment in speech.segments)
    same = speech.language == ENGLISH or speech.text.strip() == spoken
    return "" if same else _english(speech.text)


def _english(text: str) -> str:
    return f'<p class="v-quiet">In English</p><p lang="en">{quoted(text)}</p>'
