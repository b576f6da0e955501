"""Profile -> slot's name -> what fills it. The only list of slots."""

from export.errors import UnknownNameError
from export.fusion import attention, zero_shot
from export.slots import (
    audio_encoder,
    face_detector,
    face_expression,
    image_encoder,
    screen_reader,
    speech_recognizer,
    text_encoder,
)
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
        screen_reader.SLOT,
        zero_shot.SLOT,
    ),
    "paper": _by_name(
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


def select(profile_name: str, names: list[str]) -> list[Slot]:
    """Return the named slots of a profile, or all of them when none is named.

    Raises:
        UnknownNameError: there is no such profile, or it fills no slot of that name.
    """
    slots = profile(profile_name)
    unknown = [name for name in names if name not in slots]
    if unknown:
        raise UnknownNameError(
            f"profile {profile_name!r} fills no slot {', '.join(unknown)}; "
            f"there are: {', '.join(slots)}"
        )
    return [slots[name] for name in names or slots]
