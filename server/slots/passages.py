"""Divides a clip's sound into passages of speech in one language each.

Whisper itself detects one language from the first 30 s, and then transcribes all in that one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray

from vemoclap_client.contract import SAMPLE_RATE_HZ

VOICE_ACTIVITY = VadOptions(min_silence_duration_ms=500, speech_pad_ms=400)
"""Utterances are separated by half a second without a voice."""

FRAMES_PER_SECOND = 100
"""Of Whisper's log-mel spectrogram."""
PADDING_FRAMES = 100
"""One second of silence after an utterance. Its language is detected on as much as it is long: a
seventh of the cost of 30 s, with the same languages; a transcript needs all of the 30 s."""
ENCODER_FRAMES = 3000

SPEECH_MAX_S = 180
"""Longest speech that is transcribed, pauses not counted, so that a clip of an hour costs little
more than one of some minutes. The text encoder reads 512 tokens at most."""

CERTAIN_PROBABILITY = 0.6
CERTAIN_SECONDS = 1.0
"""An utterance that is shorter or less certain is in one of the languages of those that are not."""


@dataclass(frozen=True)
class Utterance:
    """Speech between two pauses; first and end are samples, languages ISO 639 -> probability."""

    first: int
    end: int
    languages: dict[str, float]

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.first) / SAMPLE_RATE_HZ

    @property
    def best(self) -> str:
        """The most probable language."""
        return max(self.languages, key=lambda name: self.languages[name])

    @property
    def is_certain(self) -> bool:
        """Whether its language can be taken from itself."""
        certain = self.languages[self.best] >= CERTAIN_PROBABILITY
        return certain and self.seconds >= CERTAIN_SECONDS


@dataclass(frozen=True)
class Passage:
    """Consecutive utterances in one language.

    Attributes:
        utterances: at least one.
        language: ISO 639 code.
        first: sample at which the passage before ends, or 0. Whisper drops silence by itself, and
            transcribes best what is not cut close to the voice.
        end: sample at which the passage after begins, or the end of the sound.
    """

    utterances: tuple[Utterance, ...]
    language: str
    first: int
    end: int

    @property
    def seconds(self) -> float:
        """How long somebody speaks."""
        return sum(utterance.seconds for utterance in self.utterances)

    @property
    def probability(self) -> float:
        """Of the language, 0 to 1: the mean over the time that somebody speaks."""
        weighted = (one.languages.get(self.language, 0) * one.seconds for one in self.utterances)
        return sum(weighted) / self.seconds

    @property
    def start_s(self) -> float:
        """When its sound begins, seconds from the clip's start."""
        return self.first / SAMPLE_RATE_HZ

    def sound(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Its part of the clip's sound, float32 [samples]."""
        return audio[self.first : self.end]

    def voiced_s(self) -> list[tuple[float, float]]:
        """When somebody is heard, seconds from the clip's start, without the padding."""
        padding_s = VOICE_ACTIVITY.speech_pad_ms / 1000
        times = [
            (one.first / SAMPLE_RATE_HZ, one.end / SAMPLE_RATE_HZ, one.seconds > 4 * padding_s)
            for one in self.utterances
        ]
        return [
            (start_s + padding_s, end_s - padding_s) if is_long else (start_s, end_s)
            for start_s, end_s, is_long in times
        ]

    def last_voice_s(self, end_s: float) -> float:
        """When somebody was last heard before a time, both in seconds from the clip's start."""
        begun = [
            utterance.end / SAMPLE_RATE_HZ
            for utterance in self.utterances
            if utterance.first / SAMPLE_RATE_HZ + VOICE_ACTIVITY.speech_pad_ms / 1000 < end_s
        ]
        return min(end_s, max(begun, default=end_s))


def find_passages(
    audio: NDArray[np.float32], whisper: WhisperModel
) -> tuple[list[Passage], float | None]:
    """The passages of a clip's sound, float32 [samples] at 16 kHz, in order.

    Also where they end because there is more speech than SPEECH_MAX_S, in seconds; None otherwise.
    """
    found = [(one["start"], one["end"]) for one in get_speech_timestamps(audio, VOICE_ACTIVITY)]
    spoken = first_seconds(found)
    if not spoken:
        return [], None
    is_all = spoken == found
    end = len(audio) if is_all else spoken[-1][1]
    utterances = [
        Utterance(first, last, detect_language(audio[first:last], whisper))
        for first, last in spoken
    ]
    languages = assign_languages(utterances)
    grouped = groupby(zip(utterances, languages, strict=True), key=lambda pair: pair[1])
    groups = [(language, [one for one, _ in pairs]) for language, pairs in grouped]
    starts = [0, *(group[-1].end for _, group in groups[:-1])]
    ends = [*(group[0].first for _, group in groups[1:]), end]
    passages = [
        Passage(tuple(group), language, first, end)
        for (language, group), first, end in zip(groups, starts, ends, strict=True)
    ]
    return passages, None if is_all else end / SAMPLE_RATE_HZ


def first_seconds(spoken: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The first SPEECH_MAX_S of stretches of speech, each from sample to sample."""
    left = SPEECH_MAX_S * SAMPLE_RATE_HZ
    kept = []
    for first, end in spoken:
        if left <= 0:
            break
        kept.append((first, min(end, first + left)))
        left -= end - first
    return kept


def detect_language(sound: NDArray[np.float32], whisper: WhisperModel) -> dict[str, float]:
    """ISO 639 code -> probability, of an utterance, float32 [samples]."""
    features = whisper.feature_extractor(
        sound[: ENCODER_FRAMES * SAMPLE_RATE_HZ // FRAMES_PER_SECOND]
    )
    length = len(sound) * FRAMES_PER_SECOND // SAMPLE_RATE_HZ + PADDING_FRAMES
    length = min(ENCODER_FRAMES, length + length % 2)
    missing = max(0, length - features.shape[-1])
    features = np.pad(features, ((0, 0), (0, missing)))[:, :length]
    encoded = whisper.encode(np.ascontiguousarray(features))
    (found,) = whisper.model.detect_language(encoded)
    return {token.strip("<|>"): float(probability) for token, probability in found}


def assign_languages(utterances: Sequence[Utterance]) -> list[str]:
    """The language of each utterance.

    One that is short or uncertain is in the most probable of the languages that the others are
    certainly in; where none is certain, all are in the language that fits them best together.
    """
    certain = {utterance.best for utterance in utterances if utterance.is_certain}
    if not certain and utterances:
        names = {name for utterance in utterances for name in utterance.languages}
        certain = {max(sorted(names), key=lambda name: _weight(name, utterances))}
    return [
        utterance.best
        if utterance.is_certain
        else max(sorted(certain), key=lambda name: utterance.languages.get(name, 0))
        for utterance in utterances
    ]


def _weight(language: str, utterances: Sequence[Utterance]) -> float:
    return sum(one.languages.get(language, 0) * one.seconds for one in utterances)
