"""Slot `face_expression`: the crop of a face -> its feature and expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.spec import Arrays, Builder, Files, Network, Slot, Tensor, generator
from vemoclap_client.contract import EXPRESSIONS

if TYPE_CHECKING:
    import torch

    from export.networks.expression_classifier import ExpressionClassifier

CROP_PX = 224
FEATURES = 256
ARTIFACTS = ("face_expression_layout", "face_expression_weights")


def load(files: Files) -> ExpressionClassifier:
    """Return face-api's expression network in evaluation mode."""
    from export.networks import expression_classifier, tensorflow_js

    weights = tensorflow_js.load(files["face_expression_layout"], files["face_expression_weights"])
    network = expression_classifier.ExpressionClassifier()
    network.load_state_dict(expression_classifier.state_from(weights))
    return network.eval()


def last_layer(files: Files) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what turns FEATURES into logits in the order of `contract.EXPRESSIONS`.

    PROBABILITIES = softmax(FEATURES @ weight.T + bias).

    Returns:
        Weight float32 [7, 256] and bias float32 [7].
    """
    last = load(files).last
    return last.weight.detach(), last.bias.detach()


def examples(batch: int, case: int) -> Arrays:
    """Return noise in patches: uint8 [batch, 224, 224, 3]."""
    patches = generator(batch, case).integers(0, 256, (batch, 28, 28, 3), "uint8")
    return {"CROP": patches.repeat(8, axis=1).repeat(8, axis=2)}


SLOT = Slot(
    name="face_expression",
    module=__name__,
    network=Network(
        inputs=(Tensor("CROP", "uint8", (CROP_PX, CROP_PX, 3)),),
        outputs=(
            Tensor("FEATURES", "float32", (FEATURES,)),
            Tensor("PROBABILITIES", "float32", (len(EXPRESSIONS),)),
        ),
        examples=examples,
    ),
    pretrained=Builder(network=load, artifacts=ARTIFACTS),
)
