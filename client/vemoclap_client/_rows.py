"""What the server encodes of a timeline's parts: rows of features, and words with times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from vemoclap_client.analysis import (
    FaceEvidence,
    SpeechEvidence,
    SpeechSegment,
    TextEvidence,
    parse_json,
)
from vemoclap_client.contract import (
    EVENTS,
    EVIDENCE,
    FACE_EVIDENCE,
    FEATURES,
    FRAME_COUNT,
    TEXT_EVIDENCE,
)
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
    """

    image: NDArray[np.float32]
    faces: Mapping[int, NDArray[np.float32]]
    texts: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class SoundRow:
    """An audio window's feature and the probabilities of its events, float32 [n] each."""

    feature: NDArray[np.float32]
    events: NDArray[np.float32]


@dataclass(frozen=True)
class Words:
    """What is said in a piece.

    Attributes:
        spoken: what was said when, in the language spoken; times in seconds from the clip's start.
        english: the same in English, where it could be translated.
        absent: why there is no English; None where there is.
    """

    spoken: tuple[SpeechSegment, ...]
    english: tuple[SpeechSegment, ...]
    absent: str | None


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
    spoken = found.speech.segments if found.speech else ()
    return Words(moved(spoken, start_s), moved(found.english, start_s), found.absent)


def moved(segments: Sequence[SpeechSegment], start_s: float) -> tuple[SpeechSegment, ...]:
    """The segments, later by so many seconds."""
    return tuple(
        replace(one, start_s=one.start_s + start_s, end_s=one.end_s + start_s) for one in segments
    )


def words_between(segments: Sequence[SpeechSegment], start_s: float, end_s: float) -> str:
    """The words that are spoken in a window; within a segment each letter is taken to last as long.

    A word belongs where its middle is.
    """
    found = []
    for segment in segments:
        letters = max(1, len(segment.text))
        at = 0
        for word in segment.text.split():
            at = segment.text.index(word, at)
            share = (at + len(word) / 2) / letters
            if start_s <= segment.start_s + share * (segment.end_s - segment.start_s) < end_s:
                found.append(word)
            at += len(word)
    return " ".join(found)
