"""Profile -> slot's name -> what fills it. The only list of slots."""

from collections.abc import Iterable

from export.errors import UnknownNameError
from export.fusion import attention, zero_shot
from export.slots import (
    audio_encoder,
    face_detector,
    face_expression,
    image_encoder,
    speech_encoder,
    speech_recognizer,
    text_detector,
    text_encoder,
    text_recognizer,
)
from export.slots.paper import audio_encoder as paper_audio_encoder
from export.slots.paper import caption_decoder as paper_caption_decoder
from export.slots.paper import captioner as paper_captioner
from export.slots.paper import face_detector as paper_face_detector
from export.slots.paper import face_expression as paper_face_expression
from export.slots.paper import image_encoder as paper_image_encoder
from export.slots.paper import language_identifier as paper_language_identifier
from export.slots.paper import speech_recognizer as paper_speech_recognizer
from export.slots.paper import text_encoder as paper_text_encoder
from export.slots.paper import translator as paper_translator
from export.spec import Slot


def _by_name(*slots: Slot) -> dict[str, Slot]:
    return {slot.name: slot for slot in slots}


PROFILES: dict[str, dict[str, Slot]] = {
    "embedded": _by_name(
        image_encoder.SLOT,
        audio_encoder.SLOT,
        face_detector.SLOT,
        face_expression.SLOT,
        text_encoder.SLOT,
        speech_recognizer.SLOT,
        speech_encoder.SLOT,
        text_detector.SLOT,
        text_recognizer.SLOT,
        zero_shot.SLOT,
    ),
    "paper": _by_name(
        paper_image_encoder.SLOT,
        paper_audio_encoder.SLOT,
        paper_face_detector.SLOT,
        paper_face_expression.SLOT,
        paper_text_encoder.SLOT,
        paper_speech_recognizer.SLOT,
        text_detector.SLOT,
        text_recognizer.SLOT,
        paper_language_identifier.SLOT,
        paper_translator.SLOT,
        paper_caption_decoder.SLOT,
        paper_captioner.SLOT,
        attention.SLOT,
    ),
}


def profile(name: str) -> dict[str, Slot]:
    """Return the slots of a profile.

    Raises:
        UnknownNameError: there is no such profile.
    """
    if name not in PROFILES:
        raise UnknownNameError(f"no profile {name!r}; there are: {', '.join(PROFILES)}")
    return PROFILES[name]


def select(profile_name: str, names: list[str], whisper_size: str | None = None) -> list[Slot]:
    """Return the named slots of a profile, or all of them when none is named.

    Args:
        profile_name: the profile.
        names: of the slots; none for all.
        whisper_size: of the paper profile's speech recogniser; None for large-v3.

    Raises:
        UnknownNameError: there is no such profile, or it fills no slot of that name.
    """
    slots = dict(profile(profile_name))
    if whisper_size is not None:
        if profile_name != "paper":
            raise UnknownNameError(f"profile {profile_name!r} has no choice of Whisper's size")
        slots["speech_recognizer"] = paper_speech_recognizer.slot(whisper_size)
    unknown = [name for name in names if name not in slots]
    if unknown:
        raise UnknownNameError(
            f"profile {profile_name!r} fills no slot {', '.join(unknown)}; "
            f"there are: {', '.join(slots)}"
        )
    return [slots[name] for name in names or slots]


def needed(slots: Iterable[Slot]) -> list[str]:
    """Return the names of the artifacts that pretrained slots are made of."""
    return sorted({name for slot in slots if slot.pretrained for name in slot.pretrained.fetched})


def whisper_size(artifact_names: Iterable[str]) -> str | None:
    """Return the size of the Whisper that is made of these artifacts, if it is one of the sizes."""
    names = set(artifact_names)
    sizes = paper_speech_recognizer.SIZES.items()
    return next((size for size, files in sizes if set(files.values()) == names), None)
