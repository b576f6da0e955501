"""What the server encodes of a timeline's parts: rows of features, and words with times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from vemoclap_client.analysis import (
    Face,
    FaceEvidence,
    SpeechEvidence,
    SpeechSegment,
    SpokenWord,
    TextEvidence,
)
from vemoclap_client.contract import (
    EVENTS,
    EVIDENCE,
    FACE_EVIDENCE,
    FEATURES,
    FRAME_COUNT,
    TEXT_EVIDENCE,
)
from vemoclap_client.documents import parse_json
from vemoclap_client.requests import Response

SOUND_FEATURES = "FEATURES"
"""The output of AUDIO_ENCODER with a row of the audio features."""


@dataclass(frozen=True)
class FrameRows:
    """What a block's 16 frames show.

    Attributes:
        image: float32 [16, width].
        faces: index of a frame that shows a face -> its feature, float32 [width].
        texts: the lines of text in each frame.
        found: the faces themselves, in order of their frames.
    """

    image: NDArray[np.float32]
    faces: Mapping[int, NDArray[np.float32]]
    texts: Sequence[tuple[str, ...]]
    found: Sequence[Face] = ()


@dataclass(frozen=True)
class SoundRow:
    """An audio window's feature and the probabilities of its events, float32 [n] each."""

    feature: NDArray[np.float32]
    events: NDArray[np.float32]


@dataclass(frozen=True)
class Words:
    """What is said in a piece.

    Attributes:
        words: with times in seconds from the clip's start; in English where it could be translated.
        absent: why they are not in English, or there are none; None where they are.
        segments: what is said in the language spoken, with times as of words.
    """

    words: tuple[SpokenWord, ...]
    absent: str | None
    segments: tuple[SpeechSegment, ...] = ()

    def between(self, start_s: float, end_s: float) -> str:
        """The words whose middle is spoken in a window."""
        return " ".join(word.text for word in self.words if start_s <= word.time_s < end_s)


def parse_frames(response: Response) -> FrameRows:
    """What FRAME_MODEL's response says of a block.

    Raises:
        DocumentError: its evidence misses a field or has a wrong one.
    """
    faces = parse_json(response.as_numpy(FACE_EVIDENCE)[0, 0], FaceEvidence, FACE_EVIDENCE)
    with_faces = sorted({face.frame for face in faces.faces})
    features = response.as_numpy(FEATURES["face"])[0]
    texts = parse_json(response.as_numpy(TEXT_EVIDENCE)[0, 0], TextEvidence, TEXT_EVIDENCE)
    return FrameRows(
        response.as_numpy(FEATURES["image"])[0],
        dict(zip(with_faces, features[: len(with_faces)], strict=True)),
        texts_of_frames(texts),
        faces.faces,
    )


def texts_of_frames(evidence: TextEvidence) -> list[tuple[str, ...]]:
    """The lines of text in each of 16 frames, those that were not read included."""
    lines = evidence.screen_text.lines if evidence.screen_text else ()
    texts: list[tuple[str, ...]] = []
    for frame in range(FRAME_COUNT):
        if frame in evidence.frames_read or not texts:
            texts.append(tuple(line.text for line in lines if line.frame == frame))
        else:
            texts.append(texts[-1])
    return texts


def parse_sound(response: Response) -> list[SoundRow]:
    """A row of each audio window, from AUDIO_ENCODER's response."""
    rows = zip(response.as_numpy(SOUND_FEATURES), response.as_numpy(EVENTS), strict=True)
    return [SoundRow(feature, events) for feature, events in rows]


def parse_words(response: Response, start_s: float) -> Words:
    """What SPEECH_RECOGNIZER's response says of a piece that starts then.

    Raises:
        DocumentError: its evidence misses a field or has a wrong one.
    """
    found = parse_json(response.as_numpy(EVIDENCE)[0, 0], SpeechEvidence, EVIDENCE)
    words = (replace(word, time_s=word.time_s + start_s) for word in found.words)
    segments = (
        replace(segment, start_s=segment.start_s + start_s, end_s=segment.end_s + start_s)
        for segment in (found.speech.segments if found.speech else ())
    )
    return Words(tuple(words), found.absent, tuple(segments))
