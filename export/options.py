"""What a user may choose for an export: format, precision, and where the weights come from."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from export import files


class Format(StrEnum):
    """How the network is written."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"

    @property
    def filename(self) -> str:
        """Triton's default name of the model file."""
        return {Format.ONNX: "model.onnx", Format.TORCHSCRIPT: "model.pt"}[self]


class Precision(StrEnum):
    """In what the network computes. Its inputs and outputs are float32 in any case."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    """Dynamic quantisation: weights and activations of matrix products, for CPUs."""


@dataclass(frozen=True)
class Pretrained:
    """The weights that the profile's manifest lists."""

    def describe(self) -> str:
        """Return a word for the stamp."""
        return "pretrained"


@dataclass(frozen=True)
class Random:
    """Seeded random weights in the full-size architecture: for parity and throughput only."""

    seed: int = 0

    def describe(self) -> str:
        """Return a word for the stamp."""
        return f"random, seed {self.seed}"


@dataclass(frozen=True)
class Checkpoint:
    """A file that the user brings."""

    path: Path

    def describe(self) -> str:
        """Return a word for the stamp: the file's content decides, not its name."""
        return f"checkpoint {files.checksum(self.path)}"


Weights = Pretrained | Random | Checkpoint


@dataclass(frozen=True)
class Options:
    """An export's choices. A slot that has no such format or precision takes its first."""

    profile: str = "embedded"
    format: Format = Format.ONNX
    precision: Precision = Precision.FP32
    weights: Weights = field(default_factory=Pretrained)
