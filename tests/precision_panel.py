"""Compares a repository in another precision with the one in float32, on windows of clips.

    python -m tests.precision_panel build/paper-random build/paper-int8 samples FOLDER

It prints, for each modality, the cosines between both repositories' features, and on how many
windows both have the same most probable emotion. A window is four of a clip's 16 frames, each
given four times, and the sound beside them. With random weights the decisions of the networks are
fixed as in the benchmark (fixed_decisions.py). No server is used.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.slots.slot import CPU, Tensors
from tests.benchmark.clips import Clip, read_clips
from tests.benchmark.in_process import InProcess
from tests.benchmark.networks import OnnxNetworks
from tests.benchmark.servers import measurable
from vemoclap_client.contract import EMOTIONS, FEATURES, PROBABILITIES

FRAMES_OF_WINDOW = 4
NAMES = tuple(FEATURES.values())


def windows(clip: Clip) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """FRAMES uint8 [16, H, W, 3] and AUDIO float32 [samples] of each window."""
    count = len(clip.frames)
    for first in range(count - FRAMES_OF_WINDOW + 1):
        end = first + FRAMES_OF_WINDOW
        frames = np.repeat(clip.frames[first:end], count // FRAMES_OF_WINDOW, axis=0)
        samples = slice(len(clip.audio) * first // count, len(clip.audio) * end // count)
        yield frames, clip.audio[samples]


def cosines(reference: NDArray[np.float32], other: NDArray[np.float32]) -> list[float]:
    """Of each row that is not zero in the reference; both [1, rows, width]."""
    rows = [(a, b) for a, b in zip(reference[0], other[0], strict=True) if a.any()]
    return [float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) for a, b in rows]


def emotion(outputs: Tensors) -> str:
    """The most probable one."""
    return EMOTIONS[int(np.argmax(outputs[PROBABILITIES][0]))]


def main(given: Sequence[str]) -> None:
    """Prints a table."""
    repositories = [
        measurable(Path(path).resolve(), f"panel-{Path(path).name}") for path in given[:2]
    ]
    reference, other = (
        InProcess(
            repository,
            OnnxNetworks(repository, CPU),
            CPU,
            outputs=(PROBABILITIES, *NAMES),
        )
        for repository in repositories
    )
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    emotions: Counter[str] = Counter()
    same, largest, margins = 0, 0.0, []
    for clip in read_clips([Path(path) for path in given[2:]]):
        for frames, audio in windows(clip):
            expected, outputs = (one.classify(frames, audio) for one in (reference, other))
            for name in NAMES:
                found[name] += cosines(expected[name], outputs[name])
            emotions[emotion(expected)] += 1
            same += emotion(expected) == emotion(outputs)
            moved = np.abs(expected[PROBABILITIES] - outputs[PROBABILITIES]).max()
            largest = max(largest, float(moved))
            first, second = np.sort(expected[PROBABILITIES][0])[:-3:-1]
            margins.append(float(first - second))
        print(f"{clip.path.name}: {sum(emotions.values())} windows so far", file=sys.stderr)
    print("| features | rows | least cosine | mean |\n| --- | ---: | ---: | ---: |")
    for name, values in found.items():
        if values:
            print(f"| {name} | {len(values)} | {min(values):.5f} | {np.mean(values):.5f} |")
    print(
        f"\nThe same emotion on {same} of {sum(emotions.values())} windows; probabilities differ "
        f"by {largest:.4f} at most. Emotions in float32: {dict(emotions)}; the first is "
        f"{np.median(margins):.4f} ahead of the second (median)."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
