"""What each model of the repository does, in plain words."""

from dataclasses import dataclass

from vemoclap_client.contract import (
    ENSEMBLE,
    ENTRY,
    FRAME_ENSEMBLE,
    FRAME_MODEL,
    JPEG_ENSEMBLE,
    JPEG_ENTRY,
    STREAM,
    WINDOW_MODEL,
)


@dataclass(frozen=True)
class Slot:
    """A model's place in the system.

    Attributes:
        purpose: what it does.
        is_optional: only some profiles fill it; the others work without.
    """

    purpose: str
    is_optional: bool = False


SLOTS = {
    ENTRY: Slot("admits requests for the whole, or refuses them as busy"),
    ENSEMBLE: Slot("the whole: from frames and sound to the answer"),
    STREAM: Slot("the whole, with the evidence of each step as it is known"),
    JPEG_ENTRY: Slot("admits requests whose frames come as JPEG files"),
    JPEG_ENSEMBLE: Slot("the whole, for frames that come as JPEG files"),
    "frame_decoder": Slot("decodes frames that come as JPEG files"),
    FRAME_MODEL: Slot("admits 16 frames of a timeline"),
    FRAME_ENSEMBLE: Slot("encodes 16 frames of a timeline"),
    WINDOW_MODEL: Slot("the answer for a window of a timeline"),
    "frame_preprocessor": Slot("brings frames to the image encoder's size"),
    "image_encoder": Slot("describes what the frames show"),
    "audio_analyzer": Slot("cuts the sound into windows"),
    "audio_encoder": Slot("describes and names what is heard"),
    "face_analyzer": Slot("follows the faces through the frames"),
    "face_detector": Slot("finds faces"),
    "face_expression": Slot("reads the expression of a face"),
    "speech_recognizer": Slot("writes down and translates what is said"),
    "speech_encoder": Slot("encodes what is said", is_optional=True),
    "screen_reader": Slot("reads what is written on the screen"),
    "text_detector": Slot("finds lines of text"),
    "text_recognizer": Slot("reads a line of text"),
    "text_encoder": Slot("describes texts and their sentiment"),
    "language_identifier": Slot("identifies the language of a text", is_optional=True),
    "translator": Slot("translates on-screen text into English", is_optional=True),
    "captioner": Slot("describes a frame in a sentence", is_optional=True),
    "caption_decoder": Slot("chooses the next word of a caption", is_optional=True),
    "length_collector": Slot("counts what each modality found"),
    "fusion": Slot("the head: joins everything into six probabilities"),
    "answer_writer": Slot("writes the answer"),
}
"""Name of the model -> its place; in the order in which a clip passes through."""
