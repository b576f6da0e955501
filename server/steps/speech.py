"""Slot speech_recognizer: sound -> transcript, language, English translation -> text features.

Source: VEMOCLAP runs Whisper (task translate) and encodes the English text. Here the transcript
is kept in its own language too, and silence is skipped by voice-activity detection.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment
from numpy.typing import NDArray

from server.steps.audio import SILENCE
from server.steps.step import Infer, Tensors, analyzer_outputs, timed
from server.steps.text import TextEncoder

ENGLISH = "en"
NO_SPEECH_THRESHOLD = 0.6
"""Segments that Whisper itself finds more likely to be no speech are dropped (its default)."""
LOG_PROBABILITY_THRESHOLD = -1.2
"""Segments whose tokens are less probable on average are guesses at music or noise."""
DECODING: dict[str, Any] = {
    "beam_size": 5,
    "vad_filter": True,
    # One pass: retrying at higher temperatures took 17 s on 5 s of music, and found nothing.
    "temperature": 0.0,
    # A misheard segment must not colour the next.
    "condition_on_previous_text": False,
}


class SpeechRecognizer:
    """AUDIO float32 [samples] -> FEATURES [1, width], LENGTH, EVIDENCE (absent, speech)."""

    def __init__(self, version_directory: Path) -> None:
        """Loads Whisper (CTranslate2) from `whisper/` and the text encoder's tokenizer."""
        self._whisper = WhisperModel(
            str(version_directory / "whisper"), device="cpu", compute_type="int8"
        )
        self._text = TextEncoder(version_directory.parent.parent)

    async def run(self, inputs: Tensors, infer: Infer) -> Tensors:
        """Transcribes one clip's sound and encodes its English text."""
        evidence: dict[str, Any] = {"absent": None, "speech": None}
        rows = await self._text.width.no_rows(infer)
        with timed(evidence):
            evidence["absent"], speech = self._listen(inputs["AUDIO"])
            if speech:
                rows, speech["sentiment"] = await self._text.encode(speech["text"], infer)
                evidence["speech"] = speech
        return analyzer_outputs(rows, 1, evidence)

    def _listen(self, audio: NDArray[np.float32]) -> tuple[str | None, dict[str, Any] | None]:
        """The reason why there is no transcript, or the transcript."""
        if len(audio) == 0:
            return "the clip has no sound", None
        if np.abs(audio).max() < SILENCE:
            return "the sound track is silent", None
        segments, info = self._whisper.transcribe(audio, **DECODING)
        heard = understood(segments)
        if not heard:
            return "no speech was recognised", None
        return None, {
            "language": info.language,
            "language_probability": round(info.language_probability, 4),
            "text": self._english(audio, info.language, heard),
            "segments": [describe(segment) for segment in heard],
        }

    def _english(self, audio: NDArray[np.float32], language: str, heard: list[Segment]) -> str:
        if language != ENGLISH:
            translated, _ = self._whisper.transcribe(
                audio, task="translate", language=language, **DECODING
            )
            # A translation that Whisper doubts is still better than none.
            heard = list(translated) or heard
        return " ".join(segment.text.strip() for segment in heard)


def understood(segments: Iterable[Segment]) -> list[Segment]:
    """The segments that are more likely speech than a guess at noise."""
    return [
        segment
        for segment in segments
        if segment.text.strip()
        and segment.no_speech_prob < NO_SPEECH_THRESHOLD
        and segment.avg_logprob > LOG_PROBABILITY_THRESHOLD
    ]


def describe(segment: Segment) -> dict[str, Any]:
    """A segment for people: its text in the language spoken, and when, in seconds."""
    return {
        "start_s": round(segment.start, 2),
        "end_s": round(segment.end, 2),
        "text": segment.text.strip(),
    }
