"""Slot speech_recognizer: sound -> transcript, language, English translation -> text features.

Source: VEMOCLAP runs Whisper (task translate) and encodes the English text. Here the transcript
is kept in its own language too, and silence is skipped by voice-activity detection.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

import numpy as np
from faster_whisper.transcribe import Segment
from msgspec import structs
from numpy.typing import NDArray

from server import memory
from server.slots.audio import usable
from server.slots.compute import COMPUTE_TYPE
from server.slots.passages import Passage, find_passages
from server.slots.slot import (
    CPU,
    Device,
    Infer,
    Tensors,
    analyzer_outputs,
    elapsed_ms,
    is_filled,
)
from server.slots.text import TextEncoder
from server.slots.whisper import Encoder, Whisper
from server.slots.words import timed_words
from vemoclap_client.analysis import Speech, SpeechEvidence, SpeechSegment, SpokenWord
from vemoclap_client.audio_windows import silence
from vemoclap_client.contract import ENGLISH, NO_SPEECH

ENCODER = "speech_encoder"
"""The slot that encodes on a processor, where the profile has it. On a GPU, and in other profiles,
CTranslate2 encodes too."""
NO_SPEECH_THRESHOLD = 0.6
"""Segments that Whisper itself finds more likely to be no speech are dropped (its default)."""
LOG_PROBABILITY_THRESHOLD = -1.2
"""Segments whose tokens are less probable on average are guesses at music or noise."""
CERTAIN_LANGUAGE = 0.8
CERTAIN_LANGUAGE_LOG_PROBABILITY = -1.5
"""The same where the language is this certain, as it is of dialects, but not of music or noise."""
COMPRESSION_RATIO_THRESHOLD = 2.4
"""Segments that compress better repeat themselves (Whisper's default)."""
REPEATED_LOG_PROBABILITY = -0.5
"""What people repeat is transcribed with certainty; the loops that Whisper invents are not."""
CHARACTERS_PER_SECOND = 25
"""Nobody repeats anything faster. A character that is a syllable, of Chinese, Japanese or Korean,
counts as LETTERS_PER_SYLLABLE."""
LETTERS_PER_SYLLABLE = 4
TOKENS_PER_SECOND = 12
"""Nobody speaks faster; without a limit, a hum of 5 s is spelled out for 4 s."""
TOKENS_AT_LEAST = 32
TOKENS_AT_MOST = 224
"""Whisper's own limit for a window of 30 s."""
ATTEMPTS: tuple[dict[str, int], ...] = ({}, {"no_repeat_ngram_size": 4})
"""Where Whisper repeats itself without end, another attempt in which it may not. Never the first:
people do repeat themselves, and a transcript must show it."""
DECODING: dict[str, Any] = {
    "beam_size": 5,
    "vad_filter": True,
    # One pass, and the same every time: retrying at higher temperatures draws at random, and
    # took 17 s on 5 s of music to find nothing.
    "temperature": 0.0,
    # A misheard segment must not colour the next.
    "condition_on_previous_text": False,
}


@dataclass(frozen=True)
class Heard:
    """What is said in a passage: nothing without segments.

    Attributes:
        passage: where it is said.
        segments: in the passage's language, times from its start.
        english: the same in English; nothing where Whisper has no translation.
    """

    passage: Passage
    segments: list[Segment]
    english: list[Segment]


class SpeechRecognizer:
    """AUDIO float32 [samples] -> FEATURES [1, width], LENGTH, EVIDENCE (SpeechEvidence)."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Loads Whisper (CTranslate2) from `whisper/` and the text encoder's tokenizer."""
        memory.keep_for_next_layer()
        self._whisper = Whisper(
            str(version_directory / "whisper"),
            device=device.kind,
            device_index=device.index,
            cpu_threads=device.threads,
            compute_type=COMPUTE_TYPE[device.kind],
        )
        repository = version_directory.parent.parent
        self._has_encoder = device.kind == CPU.kind and is_filled(repository, ENCODER)
        self._text = TextEncoder(repository)
        # One clip at a time, in a thread of our own: Triton calls other slots by those of asyncio's
        # pool, which clips that wait for their turn would fill.
        self._thread = ThreadPoolExecutor(1, "speech")

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Transcribes one clip's sound and encodes its English text."""
        rows = await self._text.width.no_rows(infer)
        started = time.perf_counter()
        encoder = encoder_slot(infer) if self._has_encoder else None
        absent, speech, words = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._recognize, usable(inputs["AUDIO"]), encoder
        )
        if speech is not None and absent is None:
            rows, sentiment = await self._text.encode(speech.text, infer)
            speech = structs.replace(speech, sentiment=sentiment)
        evidence = SpeechEvidence(
            absent=absent, speech=speech, words=words, duration_ms=elapsed_ms(started)
        )
        return analyzer_outputs(rows, 1, evidence)

    def _recognize(
        self, audio: NDArray[np.float32], encoder: Encoder | None = None
    ) -> tuple[str | None, Speech | None, tuple[SpokenWord, ...]]:
        """Why sound, float32 [samples], has no English text, or None; what was said; its words."""
        if absent := silence(audio):
            return absent, None, ()
        # The encoder's output of a passage is remembered until it is transcribed and translated.
        self._whisper.encoder = encoder
        try:
            passages, heard_until_s = find_passages(audio, self._whisper)
            heard = [self._hear(audio, one) for one in passages]
        finally:
            self._whisper.encoder = None
        spoken = [one for one in heard if one.segments]
        if not spoken:
            return NO_SPEECH, None, ()
        text = " ".join(joined(one.english) for one in spoken if one.english)
        told = [(one.english if text else one.segments, one.passage) for one in spoken]
        language, probability = main_language([one.passage for one in spoken])
        absent = f"the speech in language {language!r} could not be translated"
        speech = Speech(
            text=text or " ".join(joined(one.segments) for one in spoken),
            language=language,
            language_probability=round(probability, 4),
            segments=tuple(
                describe(segment, one.passage) for one in spoken for segment in one.segments
            ),
            sentiment=None,
            heard_until_s=heard_until_s and round(heard_until_s, 2),
        )
        words = tuple(word for one in told for word in timed_words(*one))
        return None if text else absent, speech, words

    def _hear(self, audio: NDArray[np.float32], passage: Passage) -> Heard:
        segments = self._transcribe(audio, passage)
        english = self._to_english(audio, passage, segments) if segments else []
        return Heard(passage, segments, english)

    def _to_english(
        self, audio: NDArray[np.float32], passage: Passage, segments: list[Segment]
    ) -> list[Segment]:
        """What is said in a passage, in English; nothing where Whisper has no translation."""
        if passage.language == ENGLISH:
            return segments
        return self._transcribe(audio, passage, task="translate")

    def _transcribe(
        self, audio: NDArray[np.float32], passage: Passage, task: str = "transcribe"
    ) -> list[Segment]:
        """The segments of a passage that are likely speech; times count from its start."""
        is_certain = passage.probability >= CERTAIN_LANGUAGE
        least = CERTAIN_LANGUAGE_LOG_PROBABILITY if is_certain else LOG_PROBABILITY_THRESHOLD
        kept: list[Segment] = []
        for options in ATTEMPTS:
            segments = self._decode(audio, passage, task=task, **options)
            kept = understood(segments, least)
            if kept or not any(map(is_invented_loop, segments)):
                break
        return kept

    def _decode(
        self, audio: NDArray[np.float32], passage: Passage, **options: str | int
    ) -> list[Segment]:
        tokens = min(int(TOKENS_AT_LEAST + TOKENS_PER_SECOND * passage.seconds), TOKENS_AT_MOST)
        segments, _ = self._whisper.transcribe(
            passage.sound(audio),
            language=passage.language,
            max_new_tokens=tokens,
            **DECODING,
            **options,
        )
        return list(segments)


def encoder_slot(infer: Infer) -> Encoder:
    """Calls slot speech_encoder from another thread than that of this event loop."""
    loop = asyncio.get_running_loop()

    def encode(mels: NDArray[np.float32]) -> NDArray[np.float32]:
        call = infer(ENCODER, {"MELS": mels[None]}, ["FEATURES"])
        answer = asyncio.run_coroutine_threadsafe(call, loop).result()
        features: NDArray[np.float32] = answer["FEATURES"][0]
        return features

    return encode


def main_language(passages: Sequence[Passage]) -> tuple[str, float]:
    """The language that is spoken longest, and its mean probability, 0 to 1."""
    seconds: defaultdict[str, float] = defaultdict(float)
    weighted: defaultdict[str, float] = defaultdict(float)
    for passage in passages:
        seconds[passage.language] += passage.seconds
        weighted[passage.language] += passage.seconds * passage.probability
    language = max(seconds, key=lambda name: seconds[name])
    return language, weighted[language] / seconds[language]


def understood(
    segments: Iterable[Segment], least_log_probability: float = LOG_PROBABILITY_THRESHOLD
) -> list[Segment]:
    """The segments that are more likely speech than a guess at noise."""
    return [
        segment
        for segment in segments
        if segment.text.strip()
        and segment.no_speech_prob < NO_SPEECH_THRESHOLD
        and segment.avg_logprob > least_log_probability
        and not is_invented_loop(segment)
    ]


def is_invented_loop(segment: Segment) -> bool:
    """Whether a text repeats itself because Whisper was lost, and not because somebody did."""
    if segment.compression_ratio < COMPRESSION_RATIO_THRESHOLD:
        return False
    syllables = sum(east_asian_width(character) in "FW" for character in segment.text)
    letters = len(segment.text) + (LETTERS_PER_SYLLABLE - 1) * syllables
    too_fast = letters > CHARACTERS_PER_SECOND * (segment.end - segment.start)
    return too_fast or bool(segment.avg_logprob < REPEATED_LOG_PROBABILITY)


def joined(segments: Iterable[Segment]) -> str:
    """The segments' text in one line."""
    return " ".join(segment.text.strip() for segment in segments)


def describe(segment: Segment, passage: Passage) -> SpeechSegment:
    """A segment of a passage, with times from the clip's start."""
    return SpeechSegment(
        start_s=round(passage.start_s + segment.start, 2),
        end_s=round(passage.last_voice_s(passage.start_s + segment.end), 2),
        text=segment.text.strip(),
        language=passage.language,
    )
