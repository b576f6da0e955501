"""What the network in slot face_detector takes: written by export beside it, read by face_analyzer.

Networks differ in it: how large a face must be, which sizes fit onto their maps, and how sure they
are of what is one.
"""

import math
from pathlib import Path

import msgspec
from msgspec import Struct

from vemoclap_client.documents import parse_json

SLOT = "face_detector"
FILE = "1/detector.json"
"""In the slot's folder."""


class DetectorInput(Struct, frozen=True, forbid_unknown_fields=True):
    """The sizes of images, and what counts as a face.

    Attributes:
        longer_side_px: frames are scaled down to it, and none is scaled up.
        multiple_px: an image's height and width are multiples of it.
        confidence: scores above it are faces.
    """

    longer_side_px: int
    multiple_px: int
    confidence: float

    def image_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the image for a frame of this size: its own, rounded up."""
        scale = min(1.0, self.longer_side_px / max(height, width))
        size = (math.ceil(round(side * scale) / self.multiple_px) for side in (height, width))
        image_height, image_width = (max(1, count) * self.multiple_px for count in size)
        return image_height, image_width

    def write(self, folder: Path) -> None:
        """Write it into the slot's folder."""
        (folder / FILE).write_bytes(msgspec.json.encode(self) + b"\n")


def read_input(repository: Path) -> DetectorInput:
    """What the detector in the model repository takes.

    Raises:
        FileNotFoundError: the slot is not exported, or by an earlier release.
        DocumentError: it is no such document.
    """
    path = repository / SLOT / FILE
    return parse_json(path.read_bytes(), DetectorInput, str(path))
