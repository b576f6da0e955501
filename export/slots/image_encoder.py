"""Slot `image_encoder`: a clip's 16 frames -> one feature per frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, generator
from vemoclap_client.contract import FRAME_COUNT

if TYPE_CHECKING:
    from export.networks.efficientnet_lite import EfficientNetLite0

FRAME_PX = 224
FEATURES = 1280


def load(files: Files) -> EfficientNetLite0:
    """Return EfficientNet-Lite0, trained on ImageNet, in evaluation mode."""
    import torch

    from export.networks import efficientnet_lite

    checkpoint = torch.load(files["image_encoder_weights"], weights_only=True)
    network = efficientnet_lite.EfficientNetLite0()
    network.load_state_dict(efficientnet_lite.state_from(checkpoint))
    return network.eval()


def examples(batch: int, case: int) -> Arrays:
    """Return noise in patches, with a little overshoot: float32 [batch, 16, 3, 224, 224]."""
    shape = (batch, FRAME_COUNT, 3, 28, 28)
    patches = generator(batch, case).uniform(-0.05, 1.05, shape).astype("float32")
    return {"PIXELS": patches.repeat(8, axis=3).repeat(8, axis=4)}


SLOT = Slot(
    name="image_encoder",
    module=__name__,
    network=Network(
        inputs=(Tensor("PIXELS", "float32", (FRAME_COUNT, 3, FRAME_PX, FRAME_PX)),),
        outputs=(Tensor("FEATURES", "float32", (FRAME_COUNT, FEATURES)),),
        examples=examples,
    ),
    pretrained=Builder(network=load, artifacts=("image_encoder_weights",)),
)
