"""A result as text for a terminal."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from vemoclap_client.analysis import ScreenText, Speech
from vemoclap_client.contract import ENGLISH, FRAME_COUNT
from vemoclap_client.result import EVEN_MARGIN, EmotionResult, Judgement, Moment
from vemoclap_client.timeline import Timeline, Window

BAR_CELLS = 24
CONTRIBUTION_MIN = 0.005
"""Smaller contributions are not shown."""
TEXT_MAX_CHARACTERS = 160
LABEL_WIDTH = 10
MOMENTS_SHOWN = 3
"""Of each modality's attention."""


def render_result(result: EmotionResult) -> str:
    """The result on several lines: emotions as bars, then what each modality found."""
    return "\n".join(_lines(result))


def _lines(result: EmotionResult) -> Iterator[str]:
    yield f"{result.video}  ({result.duration_s:.1f} s)"
    yield f"  {result.profile} profile, head: {result.head}"
    yield ""
    ranked = sorted(result.probabilities.items(), key=lambda item: -item[1])
    for emotion, probability in ranked:
        yield f"  {emotion:{LABEL_WIDTH}}{_bar(probability)} {probability:.2f}"
    if result.emotion is None:
        yield "  Nothing was found that speaks for any emotion, so all are equally likely."
    else:
        yield f"  {'feeling':{LABEL_WIDTH}}{_feeling(result)}"
        if not result.stands_out:
            yield "  No emotion stands out: the evidence is too little, or speaks for several."
    yield ""
    for modality, words in _evidence(result).items():
        yield f"  {modality:{LABEL_WIDTH}}{words}{_contribution(result.contributions[modality])}"
    if result.attention is not None:
        yield from _attention(result.attention)
    for warning in result.warnings:
        yield f"  warning   {warning}"
    seconds = {name: result.timings_ms[name] / 1000 for name in ("decode", "request")}
    yield f"  decoded in {seconds['decode']:.1f} s, answered in {seconds['request']:.1f} s"


def _attention(attention: Mapping[str, Sequence[Moment]]) -> Iterator[str]:
    """Where the head looked most, a line per modality."""
    yield ""
    if not attention:
        yield "  This head does not attend, so there is no attention over time."
        return
    yield f"  Where the head looked most (an even share is {1 / FRAME_COUNT:.0%}; no proof of why):"
    for modality, moments in attention.items():
        yield f"  {modality:{LABEL_WIDTH}}{_strongest_moments(moments)}"


def _strongest_moments(moments: Sequence[Moment]) -> str:
    weights = [moment.weight for moment in moments]
    if len(moments) > 1 and max(weights) - min(weights) < EVEN_MARGIN:
        return "everywhere alike"
    ranked = sorted(moments, key=lambda moment: -moment.weight)[:MOMENTS_SHOWN]
    return ", ".join(f"{_moment_times(moment)} ({moment.weight:.0%})" for moment in ranked)


def _moment_times(moment: Moment) -> str:
    if moment.start_s == moment.end_s:
        return _format_time(moment.start_s)
    return f"{_format_time(moment.start_s)} - {_format_time(moment.end_s)}"


def render_window(window: Window) -> str:
    """A window of a timeline on one line: when, its most probable emotion, how it feels."""
    times = f"{_format_time(window.start_s)} - {_format_time(window.end_s)}"
    if window.emotion is None:
        return f"  {times:22}nothing speaks for any emotion"
    probability = window.probabilities[window.emotion]
    named = f"{window.emotion:{LABEL_WIDTH}}{_bar(probability)} {probability:.2f}"
    return f"  {times:22}{named}  {_feeling(window)}"


def render_summary(timeline: Timeline) -> str:
    """A timeline's length, head and warnings, below its windows."""
    last = timeline.windows[-1]
    count = len(timeline.windows)
    plural = "s" if count > 1 else ""
    return "\n".join(
        [
            f"{timeline.video}  ({timeline.duration_s:.1f} s in {count} window{plural})",
            f"  {last.profile} profile, head: {last.head}",
            *(f"  warning   {warning}" for warning in timeline.warnings),
        ]
    )


def _format_time(seconds: float) -> str:
    minutes, second = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{second:04.1f}"


def _feeling(judgement: Judgement) -> str:
    return f"valence {judgement.valence:+.2f}, arousal {judgement.arousal:+.2f}"


def _bar(probability: float) -> str:
    # Of the number as it is printed beside the bar.
    filled = round(round(probability, 2) * BAR_CELLS)
    return "█" * filled + "░" * (BAR_CELLS - filled)


def _evidence(result: EmotionResult) -> dict[str, str]:
    """Modality -> its evidence in a few words, or why there is none."""
    found = {
        "face": _faces(result),
        "speech": _speech(result.speech),
        "text": _screen_text(result.screen_text),
        "audio": _events(result),
        "image": f"{len(result.frame_times_s)} frames",
    }
    return {
        modality: _with_reason(words, result.absent.get(modality))
        for modality, words in found.items()
    }


def _with_reason(words: str, reason: str | None) -> str:
    """The evidence; where it could not be used, with the reason."""
    if reason is None:
        return words
    return f"not used: {reason}: {words}" if words else f"absent: {reason}"


def _events(result: EmotionResult) -> str:
    named = [f"{event.name} {event.probability:.2f}" for event in result.audio_events]
    return ", ".join(named) or ("" if "audio" in result.absent else "no event named")


def _faces(result: EmotionResult) -> str:
    if not result.faces:
        return ""
    frames = len({face.frame for face in result.faces})
    expressions = Counter(face.expression for face in result.faces).most_common()
    counts = ", ".join(f"{name} {count}" for name, count in expressions)
    return f"{len(result.faces)} faces in {frames} frames: {counts}"


def _speech(speech: Speech | None) -> str:
    if speech is None:
        return ""
    spoken = (segment.language for segment in speech.segments if segment.language)
    languages = tuple(dict.fromkeys((speech.language, *spoken)))
    is_translated = languages != (ENGLISH,) and speech.sentiment
    translated = ", translated" if is_translated else ""
    sentiment = f", {_most_probable(speech.sentiment)}" if speech.sentiment else ""
    return f"“{_shortened(speech.text)}” ({' and '.join(languages)}{translated}{sentiment})"


def _screen_text(text: ScreenText | None) -> str:
    if text is None:
        return ""
    sentiment = f", {_most_probable(text.sentiment)}" if text.sentiment else ""
    return f"“{_shortened(text.text)}” ({text.language}{sentiment})"


def _shortened(text: str) -> str:
    return text if len(text) <= TEXT_MAX_CHARACTERS else text[: TEXT_MAX_CHARACTERS - 1] + "…"


def _most_probable(probabilities: Mapping[str, float]) -> str:
    return max(probabilities, key=lambda name: probabilities[name])


def _contribution(contributions: Mapping[str, float]) -> str:
    """What a modality speaks for most, such as ` → joy +0.41`."""
    if all(abs(value) < CONTRIBUTION_MIN for value in contributions.values()):
        return ""
    emotion = max(contributions, key=lambda name: contributions[name])
    return f" → {emotion} {contributions[emotion]:+.2f}"
