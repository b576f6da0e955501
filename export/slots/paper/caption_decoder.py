"""Slot `caption_decoder`: the feature of a picture and the words so far -> the next word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export.options import Format, Precision
from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, generator, seeded

if TYPE_CHECKING:
    from export.networks.caption_decoder import CaptionDecoder

FEATURES = 512
TOKENS = 20
VOCABULARY = 50_257


def load(files: Files) -> CaptionDecoder:
    """Return ClipCap, trained on Conceptual Captions, in evaluation mode."""
    return restore(files["caption_weights"])


def restore(checkpoint: Path) -> CaptionDecoder:
    """Return ClipCap with the user's weights, in evaluation mode.

    Raises:
        CheckpointError: they do not fit.
    """
    from export.networks import caption_decoder

    return caption_decoder.load(checkpoint)


def random() -> CaptionDecoder:
    """Return ClipCap with random weights, in evaluation mode."""
    from export.networks import caption_decoder

    return caption_decoder.random()


def examples(batch: int, case: int) -> Arrays:
    """Return features as large as CLIP's, and from none to all of 20 random words."""
    source = generator(batch, case)
    return {
        "FEATURE": source.normal(0, 0.5, (batch, FEATURES)).astype(np.float32),
        "TOKENS": source.integers(0, VOCABULARY, (batch, TOKENS)),
        "TOKEN_COUNT": source.integers(0, TOKENS + 1, (batch, 1)).astype(np.int32),
    }


SLOT = Slot(
    name="caption_decoder",
    module=__name__,
    network=Network(
        inputs=(
            Tensor("FEATURE", "float32", (FEATURES,)),
            Tensor("TOKENS", "int64", (TOKENS,)),
            Tensor("TOKEN_COUNT", "int32", (1,)),
        ),
        outputs=(Tensor("LOGITS", "float32", (VOCABULARY,)),),
        examples=examples,
        cases=2,
        formats=(Format.ONNX, Format.TORCHSCRIPT),
        precisions=(Precision.FP32, Precision.FP16, Precision.INT8),
    ),
    pretrained=Builder(network=load, artifacts=("caption_weights",)),
    random=Builder(network=seeded(random)),
    checkpoint=Builder(network=restore),
)
