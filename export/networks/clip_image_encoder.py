"""CLIP's image tower (ViT-B/32) over the 16 frames of a clip.

Source: Radford et al., arXiv 2103.00020; the architecture as open_clip (MIT) builds it under the
name "ViT-B-32-quickgelu", in which OpenAI's own weights are published.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from open_clip import get_model_config
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import nn

from export.errors import CheckpointError
from export.networks.state import load_state, read_checkpoint

ARCHITECTURE = "ViT-B-32-quickgelu"
HEAD_WIDTH = 64
MEAN_RGB = (0.48145466, 0.4578275, 0.40821073)
DEVIATION_RGB = (0.26862954, 0.26130258, 0.27577711)
"""Of the pictures that CLIP was trained on, as its authors' program states them."""

IMAGE_TOWER = "visual."
TRAINING_PREFIX = "module."
"""What distributed training puts before every key."""


class Normalisation(nn.Module):
    """Pixels in CLIP's scale. A module of its own, so that fp16 can leave it in float32."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", MEAN_RGB), ("deviation", DEVIATION_RGB)):
            self.register_buffer(name, torch.tensor(values).reshape(3, 1, 1), persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Float32 [..., 3, H, W], 0 to 1 -> the same shape, mean 0 and deviation 1."""
        return (pixels - self.mean) / self.deviation


class ClipImageEncoder(nn.Module):
    """Frames -> CLIP's image embeddings, not of length one."""

    FLOAT32_PARTS = ("normalisation",)

    def __init__(self) -> None:
        super().__init__()
        self.normalisation = Normalisation()
        self.visual = _image_tower()

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor]:
        """Encode frames.

        Args:
            pixels: float32 [N, frames, 3, 224, 224], 0 to 1, RGB.

        Returns:
            Features float32 [N, frames, 512].
        """
        images = self.normalisation(pixels.flatten(0, 1)).to(self.visual.conv1.weight.dtype)
        return (self.visual(images).float().unflatten(0, (-1, pixels.shape[1])),)


def _image_tower() -> VisionTransformer:
    config = get_model_config(ARCHITECTURE)
    assert config is not None
    vision = config["vision_cfg"]
    return VisionTransformer(
        image_size=vision["image_size"],
        patch_size=vision["patch_size"],
        width=vision["width"],
        layers=vision["layers"],
        heads=vision["width"] // HEAD_WIDTH,
        mlp_ratio=4.0,
        output_dim=config["embed_dim"],
        act_layer=QuickGELU,
    )


def load(path: Path) -> ClipImageEncoder:
    """Return the encoder with a checkpoint's weights, in evaluation mode.

    Args:
        path: a state dict of open_clip's whole model or of its image tower, also as open_clip's
            training writes it (`state_dict`, keys that start with `module.`).

    Raises:
        CheckpointError: it cannot be read, is a program and not weights, or does not fit.
    """
    _refuse_program(path)
    content = read_checkpoint(path)
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path}: its `state_dict` is a {type(state).__name__}.")
    encoder = ClipImageEncoder()
    load_state(encoder, _image_part(state), path)
    return encoder.eval()


def _image_part(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out the text tower, which a whole model has too."""
    named = {key.removeprefix(TRAINING_PREFIX): value for key, value in state.items()}
    return {key: value for key, value in named.items() if key.startswith(IMAGE_TOWER)}


def _refuse_program(path: Path) -> None:
    """OpenAI's own ViT-B-32.pt is TorchScript: to load it is to let it run its code.

    Raises:
        CheckpointError: it is such a file; names the one to bring instead.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        is_program = any("/code/" in name for name in archive.namelist())
    if is_program:
        raise CheckpointError(
            f"{path} is a TorchScript program, which would run code of its own. Bring the same "
            "weights as a state dict: open_clip_model.safetensors of "
            "timm/vit_base_patch32_clip_224.openai on the Hugging Face hub."
        )
