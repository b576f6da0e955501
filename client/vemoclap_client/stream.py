"""What is known of a clip, as soon as it is: the events of EmotionClient.stream.

First `Decoded`, then one `Evidence` per modality in the order in which they are found, last the
EmotionResult that classify would have answered.
"""

from dataclasses import dataclass
from typing import TypeAlias

from vemoclap_client.results import AudioEvent, EmotionResult, Face, ScreenText, Speech
from vemoclap_client.video import Clip


@dataclass(frozen=True)
class Decoded:
    """The clip's frames and sound, which are now sent to the server.

    Attributes:
        clip: as `decode` gives it.
        decode_ms: how long decoding took.
    """

    clip: Clip
    decode_ms: float


@dataclass(frozen=True)
class Evidence:
    """What one modality said; the fields of other modalities are empty.

    Attributes:
        modality: one of contract.MODALITIES. "image" only says that the frames were encoded.
        faces: of "face".
        speech: of "speech".
        screen_text: of "text".
        audio_events: of "audio".
        absent: why the modality said nothing; None where it did.
    """

    modality: str
    faces: tuple[Face, ...] = ()
    speech: Speech | None = None
    screen_text: ScreenText | None = None
    audio_events: tuple[AudioEvent, ...] = ()
    absent: str | None = None


Event: TypeAlias = Decoded | Evidence | EmotionResult
