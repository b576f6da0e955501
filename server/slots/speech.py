"""Slot speech_recognizer: sound -> transcript, language, English translation -> text features.

Source: VEMOCLAP runs Whisper (task translate) and encodes the English text. Here the transcript
is kept in its own language too, and silence is skipped by voice-activity detection.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment, TranscriptionInfo
from numpy.typing import NDArray

from server.slots.audio import silence, usable
from server.slots.compute import COMPUTE_TYPE
from server.slots.slot import CPU, Device, Infer, Tensors, analyzer_outputs, timed
from server.slots.text import TextEncoder
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
    """AUDIO float32 [samples] -> FEATURES [1, width], LENGTH, EVIDENCE (absent, speech)."""

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
        evidence: dict[str, Any] = {"absent": None, "speech": None}
        rows = await self._text.width.no_rows(infer)
        with timed(evidence):
            evidence["absent"], speech = self._listen(usable(inputs["AUDIO"]))
            evidence["speech"] = speech
            if speech and evidence["absent"] is None:
                rows, speech["sentiment"] = await self._text.encode(speech["text"], infer)
        return analyzer_outputs(rows, 1, evidence)

    def _listen(self, audio: NDArray[np.float32]) -> tuple[str | None, dict[str, Any] | None]:
        """Why there is no English text, if so; and the transcript, if there is one."""
        if reason := silence(audio):
            return reason, None
        segments, info = self._transcribe(audio)
        heard = understood(segments)
        if not heard:
            return "no speech was recognised", None
        speech = {
            "text": joined(heard),
            "language": info.language,
            "language_probability": round(info.language_probability, 4),
            "segments": [describe(segment) for segment in heard],
            "sentiment": None,
        }
        return self._translate(audio, speech), speech

    def _translate(self, audio: NDArray[np.float32], speech: dict[str, Any]) -> str | None:
        """Puts speech["text"] into English; returns why it could not."""
        if speech["language"] == ENGLISH:
            return None
        for options in TRANSLATION_ATTEMPTS:
            segments, _ = self._transcribe(
                audio, task="translate", language=speech["language"], **options
            )
            if translated := understood(segments):
                speech["text"] = joined(translated)
                return None
        return f"the speech in language {speech['language']!r} could not be translated"

    def _transcribe(
        self, audio: NDArray[np.float32], **options: str | int
    ) -> tuple[Iterable[Segment], TranscriptionInfo]:
        seconds = len(audio) / SAMPLE_RATE_HZ
        tokens = min(int(TOKENS_AT_LEAST + TOKENS_PER_SECOND * seconds), TOKENS_AT_MOST)
        answer: tuple[Iterable[Segment], TranscriptionInfo] = self._whisper.transcribe(
            audio, max_new_tokens=tokens, **DECODING, **options
        )
        return answer


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


def describe(segment: Segment) -> dict[str, Any]:
    """A segment for people: its text in the language spoken, and when, in seconds."""
    return {
        "start_s": round(segment.start, 2),
        "end_s": round(segment.end, 2),
        "text": segment.text.strip(),
    }
