"""Gathers a timeline's windows from parts that are each encoded once."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from vemoclap_client._rows import (
    SOUND_FEATURES,
    FrameRows,
    SoundRow,
    Words,
    parse_frames,
    parse_sound,
    parse_words,
)
from vemoclap_client.analysis import SpeechSegment, WindowEvidence
from vemoclap_client.contract import (
    AUDIO,
    AUDIO_ENCODER,
    CONTRIBUTIONS,
    EVENTS,
    EVIDENCE,
    FACE_EVIDENCE,
    FEATURES,
    FRAME_COUNT,
    FRAME_MODEL,
    FRAMES,
    NO_FACE,
    NO_SPEECH,
    PROBABILITIES,
    SAMPLE_RATE_HZ,
    SCREEN_TEXTS,
    SPEECH_RECOGNIZER,
    SPEECH_TEXT,
    TEXT_EVIDENCE,
    WINDOW,
    WINDOW_MODEL,
)
from vemoclap_client.documents import parse_json
from vemoclap_client.media._sound_parts import AudioWindows
from vemoclap_client.media.cuts import Cuts
from vemoclap_client.media.parts import DecodedWindow, FrameBlock, Part
from vemoclap_client.requests import Response, build_inference, by_emotion, by_modality
from vemoclap_client.timeline import ClassifiedWindow, Found, SampledFrame, Window

NO_ROWS = np.zeros((0, 0), np.float32)

Value = TypeVar("Value")


class Send(Protocol):
    """Sends a request; the future has what is parsed of the response, and cancels the request."""

    def __call__(
        self, request: dict[str, Any], parse: Callable[[Response], Value]
    ) -> Future[Value]:
        """Returns at once; `request` is of build_inference."""


@dataclass(frozen=True)
class GatheredWindow:
    """A window's rows and words, as WINDOW_MODEL takes them.

    Attributes:
        decoded: the window.
        tensors: WINDOW_MODEL's inputs, without a batch dimension.
        speech: what is said, in English where it could be translated; None for nothing.
        absent: modality -> why there is nothing of it to use, as far as the client knows.
        found: what it shows and says that no window before it did.
    """

    decoded: DecodedWindow
    tensors: dict[str, NDArray[Any]]
    speech: str | None
    absent: dict[str, str]
    found: Found

    def request(self) -> dict[str, Any]:
        """The keyword arguments of tritonclient's calls."""
        batch = {name: tensor[None] for name, tensor in self.tensors.items()}
        return build_inference(WINDOW_MODEL, batch, (PROBABILITIES, CONTRIBUTIONS, EVIDENCE))

    def parse(self, response: Response) -> ClassifiedWindow:
        """The window that WINDOW_MODEL's response makes of it.

        Raises:
            DocumentError: EVIDENCE misses a field or has a wrong one.
        """
        found = parse_json(response.as_numpy(EVIDENCE)[0, 0], WindowEvidence, EVIDENCE)
        text_absent = {"text": found.text_absent} if found.text_absent else {}
        window = Window(
            start_s=round(self.decoded.start_s, 3),
            end_s=round(self.decoded.end_s, 3),
            frame_times_s=tuple(round(time_s, 3) for time_s in self.decoded.frame_times_s),
            profile=found.profile,
            head=found.head,
            probabilities=by_emotion(response.as_numpy(PROBABILITIES)[0]),
            contributions=by_modality(response.as_numpy(CONTRIBUTIONS)[0]),
            speech=self.speech,
            screen_text=found.screen_text,
            audio_events=found.audio_events,
            absent={**self.absent, **text_absent},
        )
        return ClassifiedWindow(self.decoded, window, self.found)


class EncodedParts:
    """The parts that are encoded, or being encoded, for the windows to come."""

    def __init__(self, send: Send) -> None:
        """Nothing is sent yet."""
        self._send = send
        self._blocks: dict[int, Future[FrameRows]] = {}
        self._sound: dict[int, tuple[Future[list[SoundRow]], int]] = {}
        self._pieces: dict[tuple[float, float], Future[Words]] = {}
        self._cuts = Cuts()
        self._cut_frames: set[int] = set()
        self._known_frames: set[int] = set()
        self._known_pieces: set[tuple[float, float]] = set()

    def submit(self, part: Part) -> Future[Any]:
        """Has a part encoded."""
        if isinstance(part, FrameBlock):
            outputs = (FEATURES["image"], FEATURES["face"], FACE_EVIDENCE, TEXT_EVIDENCE)
            request = build_inference(FRAME_MODEL, {FRAMES: part.images[None]}, outputs)
            first = FRAME_COUNT * part.number
            cuts = (i for i, image in enumerate(part.images) if self._cuts.is_cut(image))
            self._cut_frames |= {first + index for index in cuts}
            self._blocks[part.number] = block = self._send(request, parse_frames)
            return block
        if isinstance(part, AudioWindows):
            samples = {WINDOW: part.samples}
            request = build_inference(AUDIO_ENCODER, samples, (SOUND_FEATURES, EVENTS))
            sound = self._send(request, parse_sound)
            self._sound |= {start: (sound, index) for index, start in enumerate(part.starts)}
            return sound
        start_s, end_s = part.first / SAMPLE_RATE_HZ, part.end / SAMPLE_RATE_HZ
        request = build_inference(SPEECH_RECOGNIZER, {AUDIO: part.samples[None]}, (EVIDENCE,))
        words = self._send(request, lambda response: parse_words(response, start_s))
        self._pieces[start_s, end_s] = words
        return words

    def needed(self, window: DecodedWindow) -> list[Future[Any]]:
        """What the window waits for; its parts have been submitted."""
        first, last = window.frames[0] // FRAME_COUNT, window.frames[-1] // FRAME_COUNT
        return [
            *(self._blocks[number] for number in range(first, last + 1)),
            *(self._sound[start][0] for start in window.sound.audio_windows),
            *(words for times, words in self._pieces.items() if _overlap(times, window)),
        ]

    def gather(self, window: DecodedWindow) -> GatheredWindow:
        """The window's rows and words, once all that it needs has arrived.

        What no later window needs is dropped: later ones begin later.

        Raises:
            VemoclapError: the first error of what it needs.
        """
        for future in self.needed(window):
            future.result()
        speech, english, speech_absent = self._words(window)
        absent = {**speech_absent, **window.sound.absent}
        tensors = {**self._frames(window), **self._heard(window)}
        if not len(tensors[FEATURES["face"]]):
            absent["face"] = NO_FACE
        tensors[SPEECH_TEXT] = np.array([english.encode()], object)
        found = Found(self._new_frames(window), self._new_segments(window))
        self._drop_before(window)
        return GatheredWindow(window, tensors, speech, absent, found)

    def _new_frames(self, window: DecodedWindow) -> tuple[SampledFrame, ...]:
        """Those of the window's frames that no window before it had."""
        times_s = dict(zip(window.frames, window.frame_times_s, strict=True))
        found = []
        for number in sorted(times_s.keys() - self._known_frames):
            block, index = divmod(number, FRAME_COUNT)
            rows = self._blocks[block].result()
            faces = tuple(face for face in rows.found if face.frame == index)
            is_cut = number in self._cut_frames
            found.append(SampledFrame(times_s[number], is_cut, faces, rows.texts[index]))
        self._known_frames |= times_s.keys()
        return tuple(found)

    def _new_segments(self, window: DecodedWindow) -> tuple[SpeechSegment, ...]:
        """What is said in the pieces that no window before it had."""
        heard = {times for times in self._pieces if _overlap(times, window)}
        new = sorted(heard - self._known_pieces)
        self._known_pieces |= heard
        return tuple(segment for times in new for segment in self._pieces[times].result().segments)

    def _frames(self, window: DecodedWindow) -> dict[str, NDArray[Any]]:
        places = [divmod(frame, FRAME_COUNT) for frame in window.frames]
        shown = [(self._blocks[number].result(), index) for number, index in places]
        faces = [rows.faces[index] for rows, index in shown if index in rows.faces]
        texts = dict.fromkeys(text for rows, index in shown for text in rows.texts[index])
        return {
            FEATURES["image"]: np.stack([rows.image[index] for rows, index in shown]),
            FEATURES["face"]: np.stack(faces) if faces else NO_ROWS,
            SCREEN_TEXTS: np.array([text.encode() for text in texts], object),
        }

    def _heard(self, window: DecodedWindow) -> dict[str, NDArray[Any]]:
        places = [self._sound[start] for start in window.sound.audio_windows]
        heard = [sound.result()[index] for sound, index in places]
        if not heard:
            return {FEATURES["audio"]: NO_ROWS, EVENTS: NO_ROWS[0:0].reshape(0)}
        return {
            FEATURES["audio"]: np.stack([row.feature for row in heard]),
            EVENTS: np.mean([row.events for row in heard], axis=0),
        }

    def _words(self, window: DecodedWindow) -> tuple[str | None, str, dict[str, str]]:
        """What is said in a window; its English, if any; why there is none, by "speech"."""
        if "speech" in window.sound.absent:
            return None, "", {}
        found = [
            (text, words.absent)
            for words in (
                future.result() for times, future in self._pieces.items() if _overlap(times, window)
            )
            if (text := words.between(window.start_s, window.heard_until_s))
        ]
        if english := " ".join(text for text, absent in found if absent is None):
            return english, english, {}
        spoken = " ".join(text for text, _ in found)
        reasons = [absent for _, absent in found if absent]
        return spoken or None, "", {"speech": next(iter(reasons), NO_SPEECH)}

    def _drop_before(self, window: DecodedWindow) -> None:
        first_block = window.frames[0] // FRAME_COUNT
        first_sample = round(window.start_s * SAMPLE_RATE_HZ)
        self._blocks = {n: block for n, block in self._blocks.items() if n >= first_block}
        self._sound = {start: row for start, row in self._sound.items() if start >= first_sample}
        self._pieces = {
            times: words for times, words in self._pieces.items() if times[1] > window.start_s
        }
        first = window.frames[0]
        self._cut_frames = {frame for frame in self._cut_frames if frame >= first}
        self._known_frames = {frame for frame in self._known_frames if frame >= first}
        self._known_pieces &= self._pieces.keys()


def _overlap(times: tuple[float, float], window: DecodedWindow) -> bool:
    return times[0] < window.heard_until_s and window.start_s < times[1]
