"""What the clip conveys, in one glance: a word, a share and who says so."""

from ui.parts.palette import EMOTION_COLOURS
from ui.parts.words import clock, percent, quoted
from vemoclap_client.contract import EMOTIONS
from vemoclap_client.result import EmotionResult

NOTHING = "No emotion stands out"
SOURCES = {
    "upload": "uploaded",
    "link": "from a link",
    "sample": "a sample",
    "folder": "from the server's folder",
}


def title_html(name: str, source: str, duration_s: float | None) -> str:
    """The clip's name as the page's heading, with its length and where it came from."""
    facts = [clock(duration_s)] if duration_s is not None else []
    facts.append(SOURCES[source])
    return f'<h1 class="v-name">{quoted(name)}</h1><p class="v-quiet">{" · ".join(facts)}</p>'


def headline_html(result: EmotionResult) -> str:
    """The emotion and its probability in words, and the head that says so."""
    emotion = result.emotion
    head = f'<p class="v-quiet">{quoted(_head_line(result))}</p>'
    if emotion is None:
        return f'<h2 class="v-answer">{NOTHING}</h2><p>{_nothing_line()}</p>{head}'
    mark = f'<span class="v-mark" style="background:{EMOTION_COLOURS[emotion]}"></span>'
    share = result.probabilities[emotion]
    return (
        f'<h2 class="v-answer">{mark}{emotion.capitalize()} '
        f'<span class="v-share">{percent(share)}</span></h2>'
        f"<p>{_runner_up_line(result)}</p>{head}"
    )


def probabilities_sentence(result: EmotionResult) -> str:
    """The six probabilities in one sentence, for those who do not see the chart."""
    shares = result.probabilities
    parts = ", ".join(f"{emotion} {percent(shares[emotion])}" for emotion in EMOTIONS)
    return f"Probabilities of the six emotions: {parts}."


def _nothing_line() -> str:
    return "Nothing that was found in this clip speaks for any of the six emotions."


def _runner_up_line(result: EmotionResult) -> str:
    shares = result.probabilities
    second = sorted(EMOTIONS, key=lambda name: -shares[name])[1]
    following = f"Next is {second}, {percent(shares[second])}."
    if not result.stands_out:
        return f"{NOTHING}: the evidence is too little, or speaks for several. {following}"
    return f"This clip conveys {result.emotion}. {following}"


def _head_line(result: EmotionResult) -> str:
    return f"Head: {result.head} · {result.profile} profile"
