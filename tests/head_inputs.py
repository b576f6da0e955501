"""Features made up for the zero-shot head: so many faces, so much speech, this text."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.fusion import zero_shot
from export.slots import audio_encoder, face_expression, text_encoder
from export.spec import Arrays
from export.weights import fetch_all
from vemoclap_client.contract import EXPRESSIONS, FEATURES, FRAME_COUNT, LENGTHS, MODALITIES


def nothing(batch: int = 1) -> Arrays:
    """Features of clips in which every modality is absent."""
    network = zero_shot.SLOT.network
    assert network is not None
    return {name: np.zeros_like(array) for name, array in network.examples(batch, 0).items()}


def put(inputs: Arrays, modality: str, rows: NDArray[np.float32]) -> None:
    """Gives every clip these features of a modality, float32 [n, width]."""
    inputs[FEATURES[modality]][:] = 0
    inputs[FEATURES[modality]][:, : len(rows)] = rows
    inputs[LENGTHS][:, MODALITIES.index(modality)] = len(rows)


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """The texts' features, float32 [texts, width]."""
    return np.asarray(text_encoder.embed(fetch_all(text_encoder.ARTIFACTS), texts).numpy())


def with_text(texts: Sequence[str], modality: str) -> Arrays:
    """Features of clips in which only this was said, for long, or written."""
    inputs = nothing(len(texts))
    inputs[FEATURES[modality]][:, 0] = embed(texts)
    inputs[LENGTHS][:, MODALITIES.index(modality)] = 1
    if modality == "speech":
        put(inputs, "audio", voice_rows(FRAME_COUNT))
    return inputs


def face_rows(expression: str, count: int) -> NDArray[np.float32]:
    """Features of frames with this expression, clearly: float32 [count, width]."""
    weight, _ = face_expression.last_layer(fetch_all(face_expression.ARTIFACTS))
    # A feature that the expression's own row of the last layer answers most.
    direction = weight[EXPRESSIONS.index(expression)] - weight.mean(0)
    return np.tile(20 * (direction / direction.norm()).numpy(), (count, 1))


def with_faces(expression: str, count: int) -> Arrays:
    """Features of a clip with this expression, clearly, in some of its frames."""
    inputs = nothing()
    put(inputs, "face", face_rows(expression, count))
    return inputs


def voice_rows(count: int) -> NDArray[np.float32]:
    """Features of audio windows in which somebody speaks all the time: float32 [count, width]."""
    weight, _ = audio_encoder.voice_layer(fetch_all(audio_encoder.ARTIFACTS))
    rows = np.zeros((count, audio_encoder.FEATURES), np.float32)
    rows[:, -weight.shape[1] :] = 20 * weight.sign().numpy()
    return rows
