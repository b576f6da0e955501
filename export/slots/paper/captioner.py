"""Slot `captioner`: GPT-2's tokenizer, beside the step that searches for a caption."""

from __future__ import annotations

from pathlib import Path

from export.slots.paper.caption_decoder import VOCABULARY
from export.spec import Builder, Slot

TOKENIZER = "1/tokenizer.json"


def make_random(seed: int, folder: Path) -> None:
    """Write a tokenizer with as many tokens as GPT-2's: there is nothing random in it."""
    from export.networks.byte_tokenizer import byte_level

    (folder / "1").mkdir(parents=True, exist_ok=True)
    byte_level(VOCABULARY, last=["<|endoftext|>"]).save(str(folder / TOKENIZER))


SLOT = Slot(
    name="captioner",
    module=__name__,
    pretrained=Builder(files={TOKENIZER: "caption_tokenizer"}),
    random=Builder(write=make_random),
)
