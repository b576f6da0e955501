"""How the network in slot face_expression takes a face, read by face_analyzer.

Export writes it beside a network that does not take it as CropRule says by default.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from vemoclap_client.documents import parse_json

SLOT = "face_expression"
FILE = "1/crop.json"
"""In the slot's folder."""


class CropRule(Struct, frozen=True, forbid_unknown_fields=True):
    """How a face's box becomes a square.

    Attributes:
        is_stretched: it is stretched, as transformers' ViTImageProcessor does; else padded with
            black, as face-api does.
    """

    is_stretched: bool = False

    def write(self, folder: Path) -> None:
        """Write it into the slot's folder."""
        (folder / FILE).write_bytes(msgspec.json.encode(self) + b"\n")


def read_rule(repository: Path) -> CropRule:
    """The rule of the network in the model repository.

    Raises:
        DocumentError: the file is no such document.
    """
    path = repository / SLOT / FILE
    return parse_json(path.read_bytes(), CropRule, str(path)) if path.exists() else CropRule()
