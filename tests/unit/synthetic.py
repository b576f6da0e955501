"""Synthetic features whose emotion only a pair of modalities tells.

The pictures show one of six keys. The sound is a list of six entries, in any order: each a key
and an emotion. The clip's emotion is that of the entry whose key is shown. Pictures alone say
nothing, for every key goes with every emotion; neither does the sound, which always holds all
keys and all emotions. Their averages, too, are the same for every emotion.
"""

from pathlib import Path

import numpy as np

from training.features import Rows, Sample
from training.manifest import Manifest
from training.store import Store, Writer
from vemoclap_client.contract import EMOTIONS

WIDTHS = {"image": 6, "audio": 12, "face": 4, "speech": 4, "text": 4}
NOISE = 0.05


def sample(number: int, source: np.random.Generator) -> Sample:
    """A clip of emotion number % 6."""
    emotion, key = number % 6, int(source.integers(6))
    entries = source.permutation(6)
    other = list(entries).index(emotion)
    entries[other], entries[key] = entries[key], emotion
    sound = np.zeros((6, 12), np.float32)
    for row, listed in enumerate(source.permutation(6)):
        sound[row, listed] = sound[row, 6 + entries[listed]] = 1
    pictures = np.zeros((16, 6), np.float32)
    pictures[:, key] = 1
    faces = source.normal(size=(int(source.integers(0, 17)), 4)).astype(np.float32)
    features = {
        "image": _noisy(pictures, source),
        "audio": _noisy(sound, source),
        "face": faces,
        "speech": source.normal(size=(number % 2, 4)).astype(np.float32),
        "text": np.zeros((0, 4), np.float32),
    }
    return Sample(f"clip {number}", EMOTIONS[emotion], features)


def store(folder: Path, count: int, seed: int = 0, name: str = "synthetic") -> Store:
    """A finished store of so many clips."""
    source = np.random.default_rng(seed)
    writer = Writer(folder, Manifest(name, "embedded", {"image_encoder": "1"}, WIDTHS))
    samples = [sample(number, source) for number in range(count)]
    for one in samples:
        writer.add(one, "")
    return writer.finish({one.id: one.label for one in samples}, seed=1)


def _noisy(rows: Rows, source: np.random.Generator) -> Rows:
    return (rows + source.normal(scale=NOISE, size=rows.shape)).astype(np.float32)
