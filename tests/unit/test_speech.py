"""Speech: passages by language, what is kept of a transcript, translation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel
from numpy.typing import NDArray

from server.slots import passages, speech
from server.slots.passages import Passage, Utterance, assign_languages
from server.slots.whisper import Whisper
from server.slots.words import timed_words
from vemoclap_client.analysis import Speech

RATE = 16_000


def utterance(start_s: float, end_s: float, **languages: float) -> Utterance:
    return Utterance(round(start_s * RATE), round(end_s * RATE), languages)


def test_each_utterance_has_its_own_language() -> None:
    utterances = [utterance(0, 3, en=0.95, de=0.02), utterance(4, 6, zh=0.9, en=0.05)]
    assert assign_languages(utterances) == ["en", "zh"]


@pytest.mark.parametrize("spoken", [(), ((1, 3, "en"),), ((1, 3, "en"), (4, 6, "zh"))])
def test_passages_reach_to_their_neighbours(
    spoken: tuple[tuple[int, int, str], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [{"start": start * RATE, "end": end * RATE} for start, end, _ in spoken]
    languages = iter([{language: 0.9} for _, _, language in spoken])
    monkeypatch.setattr(passages, "get_speech_timestamps", lambda audio, options: parts)
    monkeypatch.setattr(passages, "detect_language", lambda sound, whisper: next(languages))
    found, heard_until_s = passages.find_passages(np.zeros(8 * RATE, np.float32), None)  # type: ignore[arg-type]
    bounds = [(one.first // RATE, one.end // RATE, one.language) for one in found]
    expected = {0: [], 1: [(0, 8, "en")], 2: [(0, 4, "en"), (3, 8, "zh")]}
    assert bounds == expected[len(spoken)]
    assert heard_until_s is None


def test_more_speech_than_the_text_encoder_reads_is_not_transcribed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = [{"start": start * RATE, "end": (start + 100) * RATE} for start in (0, 110, 220)]
    monkeypatch.setattr(passages, "get_speech_timestamps", lambda audio, options: parts)
    monkeypatch.setattr(passages, "detect_language", lambda sound, whisper: {"en": 0.9})
    (found,), heard_until_s = passages.find_passages(np.zeros(400 * RATE, np.float32), None)  # type: ignore[arg-type]
    assert found.seconds == passages.SPEECH_MAX_S == 180
    assert found.end / RATE == heard_until_s == 190


def test_short_and_uncertain_utterances_follow_the_certain_ones() -> None:
    utterances = [
        utterance(0, 3, it=0.99),
        utterance(4, 6, fi=0.45, it=0.35),
        utterance(7, 7.5, nn=0.9, it=0.02, en=0.01),
    ]
    assert assign_languages(utterances) == ["it", "it", "it"]


def test_where_nothing_is_certain_the_best_of_all_together_is_taken() -> None:
    utterances = [utterance(0, 3, fi=0.45, it=0.4), utterance(4, 8, es=0.3, it=0.5)]
    assert assign_languages(utterances) == ["it", "it"]
    assert assign_languages([]) == []


def test_a_passage_knows_its_length_and_when_somebody_was_last_heard() -> None:
    passage = Passage(
        (utterance(1, 4, en=0.9), utterance(120, 122, en=0.6)), "en", RATE, 125 * RATE
    )
    assert passage.seconds == 5
    assert passage.start_s == 1
    assert passage.probability == pytest.approx(0.78)
    # Whisper stretches a segment over the pause until the next words begin.
    assert passage.last_voice_s(120.1) == 4
    assert passage.last_voice_s(3.5) == 3.5
    assert passage.last_voice_s(121.5) == 121.5


def test_the_main_language_is_the_one_spoken_longest() -> None:
    both = [
        Passage((utterance(0, 3, en=0.9),), "en", 0, 4 * RATE),
        Passage((utterance(4, 8, it=0.8),), "it", 3 * RATE, 9 * RATE),
        Passage((utterance(9, 12, en=0.7),), "en", 8 * RATE, 12 * RATE),
    ]
    language, probability = speech.main_language(both)
    assert (language, probability) == ("en", pytest.approx(0.8))


@dataclass
class Segment:
    text: str
    no_speech_prob: float = 0.1
    avg_logprob: float = -0.3
    compression_ratio: float = 1.2
    start: float = 0.5
    end: float = 1.5


def test_segments_that_are_guesses_are_dropped() -> None:
    segments = [
        Segment("Hello."),
        Segment("Thanks for watching", no_speech_prob=0.9),
        Segment("mumble", avg_logprob=-1.5),
        Segment("round of the round of the round of the", compression_ratio=4.0),
        Segment("  "),
    ]
    kept = speech.understood(segments)  # type: ignore[arg-type]
    assert [segment.text for segment in kept] == ["Hello."]


@pytest.mark.parametrize(
    ("repetition", "is_kept"),
    [
        (Segment("no no no no no", avg_logprob=-0.2, compression_ratio=3.6, end=4.0), True),
        (Segment("no no no no no", avg_logprob=-0.7, compression_ratio=3.6, end=4.0), False),
        (Segment("no " * 30, avg_logprob=-0.2, compression_ratio=9.0, end=3.0), False),
        (Segment("登" * 80, avg_logprob=-0.2, compression_ratio=14.0, end=8.5), False),
        (Segment("不" * 30, avg_logprob=-0.2, compression_ratio=5.0, end=8.5), True),
    ],
)
def test_people_repeat_themselves_and_whisper_invents_loops(
    repetition: Segment, is_kept: bool
) -> None:
    assert speech.understood([repetition]) == [repetition] * is_kept  # type: ignore[list-item]


class TranslatingWhisper:
    """Transcribes; its translation repeats itself, unless it may not."""

    def __init__(self, second: Segment) -> None:
        self.second = second
        self.tasks: list[str] = []

    def transcribe(self, audio: NDArray[np.float32], **options: Any) -> tuple[list[Segment], None]:
        self.tasks.append(options["task"])
        looped = Segment("round of the round of the round of the", compression_ratio=4.0)
        translated = self.second if "no_repeat_ngram_size" in options else looped
        return [translated if options["task"] == "translate" else Segment(" 很美味 ")], None


def recognize(
    whisper: TranslatingWhisper, language: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[str | None, Speech | None]:
    passage = Passage((Utterance(0, RATE, {language: 0.98765}),), language, 0, RATE)
    monkeypatch.setattr(speech, "find_passages", lambda audio, model: ([passage], None))
    recognizer = speech.SpeechRecognizer.__new__(speech.SpeechRecognizer)
    recognizer._whisper = whisper  # type: ignore[assignment]
    absent, found, words = recognizer._recognize(np.ones(RATE, np.float32))
    assert found is not None
    assert found.text.split() == [word.text for word in words]
    return absent, found


@pytest.mark.parametrize("better", [True, False])
def test_a_translation_that_loops_is_tried_once_more(
    better: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whisper = TranslatingWhisper(Segment("It is delicious.", avg_logprob=-0.5 if better else -2.0))
    absent, found = recognize(whisper, "zh", monkeypatch)
    assert whisper.tasks == ["transcribe", "translate", "translate"]
    assert found is not None
    assert found.text == ("It is delicious." if better else "很美味")
    assert [(segment.text, segment.language) for segment in found.segments] == [("很美味", "zh")]
    assert (found.language, found.language_probability) == ("zh", 0.9877)
    assert absent == (None if better else "the speech in language 'zh' could not be translated")


def test_english_is_not_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    whisper = TranslatingWhisper(Segment(""))
    assert recognize(whisper, "en", monkeypatch)[0] is None
    assert whisper.tasks == ["transcribe"]


def test_words_are_spread_over_the_time_with_a_voice() -> None:
    # A voice from 2 to 4 s and, after a pause, from 10 to 14 s, each with 0.4 s around it.
    utterances = tuple(
        Utterance(int(first_s * RATE), int(end_s * RATE), {"en": 1.0})
        for first_s, end_s in ((1.6, 4.4), (9.6, 14.4))
    )
    passage = Passage(utterances, "en", RATE, 20 * RATE)
    segment = Segment(" aa bb cc dd ", end=14.0)
    segment.start = 1.0
    words = list(timed_words([segment], passage))  # type: ignore[list-item]
    assert [word.text for word in words] == ["aa", "bb", "cc", "dd"]
    # Six seconds of voice for eleven characters; the passage begins at 1 s.
    expected = [2 + 6 / 11, 10 + 4 * 6 / 11 - 2, 10 + 7 * 6 / 11 - 2, 10 + 10 * 6 / 11 - 2]
    assert [word.time_s for word in words] == pytest.approx(expected, abs=0.01)
    without = Passage((), "en", 0, 20 * RATE)
    assert [word.time_s for word in timed_words([segment], without)] == pytest.approx(  # type: ignore[list-item]
        [1 + 13 / 11, 1 + 13 * 4 / 11, 1 + 13 * 7 / 11, 1 + 13 * 10 / 11], abs=0.01
    )


def test_a_transcript_and_its_translation_share_one_encoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoded: list[tuple[int, ...]] = []

    def encode(model: WhisperModel, features: NDArray[np.float32]) -> int:
        encoded.append(features.shape)
        return len(encoded)

    monkeypatch.setattr(WhisperModel, "encode", encode)
    whisper = Whisper.__new__(Whisper)
    first, second = np.ones((80, 3000), np.float32), np.zeros((80, 3000), np.float32)
    second[:, :100] = 1
    outputs = [whisper.encode(one) for one in (first, first.copy(), second, second, first)]
    assert outputs == [1, 1, 2, 2, 3]
    assert len(encoded) == 3
