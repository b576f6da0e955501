"""Slot `face_expression`: the crop of a face -> its feature and expression, by a transformer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from export.options import Format, Precision
from export.slots.face_expression import interface
from export.spec import Builder, Files, Slot, seeded
from server.slots.expression import CropRule

if TYPE_CHECKING:
    from export.networks.expression_transformer import ExpressionTransformer

FEATURES = 768
WEIGHTS, CONFIGURATION = "expression_weights", "expression_config"

CROP_RULE = CropRule(is_stretched=True)
"""That of the model's own preprocessing, transformers' ViTImageProcessor."""


def load(files: Files) -> ExpressionTransformer:
    """Return trpakov/vit-face-expression in evaluation mode."""
    from export.networks import expression_transformer

    return expression_transformer.load(files[WEIGHTS], files[CONFIGURATION])


def restore(path: Path) -> ExpressionTransformer:
    """Return the same architecture with the weights of a checkpoint, in evaluation mode.

    Args:
        path: a state dict as transformers writes it. A `config.json` beside it is heeded.

    Raises:
        CheckpointError: it does not fit.
    """
    from export.networks import expression_transformer

    configuration = path.with_name("config.json")
    return expression_transformer.load(path, configuration if configuration.is_file() else None)


def random() -> ExpressionTransformer:
    """Return ViT-B/16 as transformers initialises it, in evaluation mode."""
    from transformers import ViTForImageClassification

    from export.networks import expression_transformer

    model = ViTForImageClassification(expression_transformer.configure())
    return expression_transformer.ExpressionTransformer(model).eval()


def write_rule(source: object, folder: Path) -> None:
    """Write how the network takes a face, for face_analyzer."""
    CROP_RULE.write(folder)


SLOT = Slot(
    name="face_expression",
    module=__name__,
    network=replace(
        interface(FEATURES),
        formats=(Format.ONNX, Format.TORCHSCRIPT),
        precisions=(Precision.FP32, Precision.FP16, Precision.INT8),
    ),
    pretrained=Builder(network=load, write=write_rule, artifacts=(WEIGHTS, CONFIGURATION)),
    random=Builder(network=seeded(random), write=write_rule),
    checkpoint=Builder(network=restore, write=write_rule, companion_files=("config.json",)),
)
