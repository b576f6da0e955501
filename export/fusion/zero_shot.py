"""Slot `fusion` of the embedded profile: a head that needs no training data.

Its weights are choices, not fits; docs/zero-shot.md tells what they rest on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from export.fusion import heads
from export.slots import audio_encoder, face_expression, image_encoder, text_encoder
from export.spec import Builder, Files, Network, Slot
from vemoclap_client.contract import EMOTIONS

if TYPE_CHECKING:
    from export.fusion.zero_shot_head import ZeroShotHead

SENTENCES = Path(__file__).with_name("emotion_sentences.toml")

WIDTHS = {
    "image": image_encoder.FEATURES,
    "audio": audio_encoder.FEATURES,
    "face": face_expression.FEATURES,
    "speech": text_encoder.FEATURES,
    "text": text_encoder.FEATURES,
}

WEIGHTS = {"face": 1.0, "speech": 1.0, "text": 0.5}
"""Image and audio have none: ImageNet's classes, often wrong on people and cartoons, and "someone
speaks" name no emotion. On-screen text is more often a logo than a statement."""

SHARPNESS = 12.0
"""Between the cosine and the logit. It does not change which group is nearest; a larger one would
feign certainty."""

SPEECH_HALF_S = 0.5
"""Seconds of speech that give it half its weight: one or two words."""


def load(files: Files) -> ZeroShotHead:
    """Return the head, in evaluation mode."""
    from export.fusion.zero_shot_head import ZeroShotHead

    layer = face_expression.last_layer(files)
    voice = audio_encoder.voice_layer(files)
    means = text_encoder.group_means(files, SENTENCES, (*EMOTIONS, "neutral"))
    return ZeroShotHead(layer, voice, means, SHARPNESS, WEIGHTS, SPEECH_HALF_S).eval()


SLOT = Slot(
    name="fusion",
    module=__name__,
    pretrained=Builder(
        network=load,
        artifacts=(
            *face_expression.ARTIFACTS,
            *audio_encoder.ARTIFACTS,
            *text_encoder.ARTIFACTS,
        ),
    ),
    network=Network(
        inputs=heads.inputs(WIDTHS),
        outputs=heads.OUTPUTS,
        examples=heads.examples(WIDTHS),
        cases=4,
        finish=heads.name_in_graph("embedded", "zero-shot", None),
    ),
    data=(SENTENCES,),
)
