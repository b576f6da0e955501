"""Slot speech_recognizer: sound -> transcript, language, English translation -> text features.

Source: VEMOCLAP runs Whisper (task translate) and encodes the English text. Here the transcript
is kept in its own language too, and silence is skipped by voice-activity detection.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment, TranscriptionInfo
from msgspec import structs
from numpy.typing import NDArray

from server.slots.audio import silence, usable
from server.slots.compute import COMPUTE_TYPE
from server.slots.slot import CPU, Device, Infer, Tensors, analyzer_outputs, elapsed_ms
from server.slots.text import TextEncoder
from vemoclap_client.analysis import Speech, SpeechEvidence, SpeechSegment
from vemoclap_client.contract import ENGLISH, SAMPLE_RATE_HZ

NO_SPEECH_THRESHOLD = 0.6
"""Segments that Whisper itself finds more likely to be no speech are dropped (its default)."""
LOG_PROBABILITY_THRESHOLD = -1.2
"""Segments whose tokens are less probable on average are guesses at music or noise."""
COMPRESSION_RATIO_THRESHOLD = 2.4
"""Segments that compress better repeat themselves without end (Whisper's default)."""
TOKENS_PER_SECOND = 12
"""Nobody speaks faster; without a limit, a hum of 5 s is spelled out for 4 s."""
TOKENS_AT_LEAST = 32
TOKENS_AT_MOST = 224
"""Whisper's own limit for a window of 30 s."""
TRANSLATION_ATTEMPTS: tuple[dict[str, int], ...] = ({}, {"no_repeat_ngram_size": 4})
"""Where a translation repeats itself without end, another that may not. Never the first: people
do repeat themselves, and a transcript must show it."""
DECODING: dict[str, Any] = {
    "beam_size": 5,
    "vad_filter": True,
    # One pass, and the same every time: retrying at higher temperatures draws at random, and
    # took 17 s on 5 s of music to find nothing.
    "temperature": 0.0,
    # A misheard segment must not colour the next.
    "condition_on_previous_text": False,
}


class SpeechRecognizer:
    """AUDIO float32 [samples] -> FEATURES [1, width], LENGTH, EVIDENCE (SpeechEvidence)."""

    def __init__(self, version_directory: Path, device: Device = CPU) -> None:
        """Loads Whisper (CTranslate2) from `whisper/` and the text encoder's tokenizer."""
        self._whisper = WhisperModel(
            str(version_directory / "whisper"),
            device=device.kind,
            device_index=device.index,
            compute_type=COMPUTE_TYPE[device.kind],
        )
        self._text = TextEncoder(version_directory.parent.parent)

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Transcribes one clip's sound and encodes its English text."""
        rows = await self._text.width.no_rows(infer)
        started = time.perf_counter()
        absent, speech = self._recognize(usable(inputs["AUDIO"]))
        if speech is not None and absent is None:
            rows, sentiment = await self._text.encode(speech.text, infer)
            speech = structs.replace(speech, sentiment=sentiment)
        evidence = SpeechEvidence(absent=absent, speech=speech, duration_ms=elapsed_ms(started))
        return analyzer_outputs(rows, 1, evidence)

    def _recognize(self, audio: NDArray[np.float32]) -> tuple[str | None, Speech | None]:
        """Why sound, float32 [samples], has no English text, or None; and what was said, if any."""
        if absent := silence(audio):
            return absent, None
        transcribed, info = self._transcribe(audio)
        segments = understood(transcribed)
        if not segments:
            return "no speech was recognised", None
        language, spoken = info.language, joined(segments)
        english = spoken if language == ENGLISH else self._translate(audio, language)
        absent = None if english else f"the speech in language {language!r} could not be translated"
        speech = Speech(
            text=english or spoken,
            language=language,
            language_probability=round(info.language_probability, 4),
            segments=tuple(
                SpeechSegment(round(item.start, 2), round(item.end, 2), item.text.strip())
                for item in segments
            ),
            sentiment=None,
        )
        return absent, speech

    def _translate(self, audio: NDArray[np.float32], language: str) -> str | None:
        """What is said in sound, float32 [samples], in English; None if Whisper finds no words."""
        for options in TRANSLATION_ATTEMPTS:
            segments, _ = self._transcribe(audio, task="translate", language=language, **options)
            if translated := understood(segments):
                return joined(translated)
        return None

    def _transcribe(
        self, audio: NDArray[np.float32], **options: str | int
    ) -> tuple[Iterable[Segment], TranscriptionInfo]:
        seconds = len(audio) / SAMPLE_RATE_HZ
        tokens = min(int(TOKENS_AT_LEAST + TOKENS_PER_SECOND * seconds), TOKENS_AT_MOST)
        transcript: tuple[Iterable[Segment], TranscriptionInfo] = self._whisper.transcribe(
            audio, max_new_tokens=tokens, **DECODING, **options
        )
        return transcript


def understood(segments: Iterable[Segment]) -> list[Segment]:
    """The segments that are more likely speech than a guess at noise."""
    return [
        segment
        for segment in segments
        if segment.text.strip()
        and segment.no_speech_prob < NO_SPEECH_THRESHOLD
        and segment.avg_logprob > LOG_PROBABILITY_THRESHOLD
        and segment.compression_ratio < COMPRESSION_RATIO_THRESHOLD
    ]


def joined(segments: Iterable[Segment]) -> str:
    """The segments' text in one line."""
    return " ".join(segment.text.strip() for segment in segments)
