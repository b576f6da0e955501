"""What the C library gives back of freed memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server import memory
from server.slots.speech import SpeechRecognizer
from server.slots.translation import Translator

FRAMES = """
import resource
import sys
import numpy as np
from server import memory
from server.slots.frames import preprocess

if sys.argv[1] == "keep":
    memory.keep_for_next_frame()
frame = np.zeros((360, 640, 3), np.uint8)
# They take the holes that imports have left in the heap, which else are used for the frames.
held = [bytes(2**19) for _ in range(64)]
preprocess(frame)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    preprocess(frame)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

LAYERS = """
import resource
import sys
import numpy as np
from server import memory

memory.keep_for_next_frame()
if sys.argv[1] == "keep":
    memory.keep_for_next_layer()

def layers():
    for _ in range(6):
        wide = np.ones((1500, 2048), np.float32)
        narrow = wide[:, :512].copy()

layers()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
layers()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages_asked_for(program: str, what: str) -> int:
    """Pages that the system had to fill with zeros for eight frames, or for Whisper's layers."""
    environment = os.environ | memory.environment()
    command = [sys.executable, "-c", program, what]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    return int(done.stdout)


def test_a_slot_keeps_the_memory_of_a_frame_for_the_next_one() -> None:
    assert pages_asked_for(FRAMES, "keep") * 4 < pages_asked_for(FRAMES, "free")


def test_a_network_without_an_arena_keeps_the_memory_of_a_layer_for_the_next_one() -> None:
    assert pages_asked_for(LAYERS, "keep") * 4 < pages_asked_for(LAYERS, "free")


@pytest.mark.parametrize("slot", [SpeechRecognizer, Translator])
def test_the_slots_of_ctranslate2_keep_it(
    slot: type[SpeechRecognizer | Translator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before they load the network, which is not here."""

    class KeptError(Exception):
        pass

    def keep() -> None:
        raise KeptError

    monkeypatch.setattr(memory, "keep_for_next_layer", keep)
    with pytest.raises(KeptError):
        slot(tmp_path)
