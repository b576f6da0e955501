"""Slot `image_encoder`: a clip's 16 frames -> CLIP's embedding of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from export.options import Format, Precision
from export.slots.image_encoder import FRAME_PX, examples
from export.spec import Builder, Files, Network, Slot, Tensor, seeded
from vemoclap_client.contract import FRAME_COUNT

if TYPE_CHECKING:
    from export.networks.clip_image_encoder import ClipImageEncoder

FEATURES = 512
WEIGHTS = "clip_weights"


def load(files: Files) -> ClipImageEncoder:
    """Return CLIP ViT-B/32 with OpenAI's weights, in evaluation mode."""
    return restore(files[WEIGHTS])


def restore(path: Path) -> ClipImageEncoder:
    """Return CLIP ViT-B/32 with the weights of an open_clip checkpoint, in evaluation mode.

    Raises:
        CheckpointError: it does not fit.
    """
    from export.networks import clip_image_encoder

    return clip_image_encoder.load(path)


def random() -> ClipImageEncoder:
    """Return CLIP ViT-B/32 as open_clip initialises it, in evaluation mode."""
    from export.networks.clip_image_encoder import ClipImageEncoder

    return ClipImageEncoder().eval()


SLOT = Slot(
    name="image_encoder",
    module=__name__,
    network=Network(
        inputs=(Tensor("PIXELS", "float32", (FRAME_COUNT, 3, FRAME_PX, FRAME_PX)),),
        outputs=(Tensor("FEATURES", "float32", (FRAME_COUNT, FEATURES)),),
        examples=examples,
        formats=(Format.ONNX, Format.TORCHSCRIPT),
        precisions=(Precision.FP32, Precision.FP16, Precision.INT8),
    ),
    pretrained=Builder(network=load, artifacts=(WEIGHTS,)),
    random=Builder(network=seeded(random)),
    checkpoint=Builder(network=restore),
)
