"""What a reading is worth by how much there is to read: `python -m tests.certainty_choices FOLDER`.

FOLDER has the pictures of face-api (tests.face_panel says how to get them). Needs the voices of
Flite and sox: apt-get install flite sox. The embedded profile must be exported. The figures for
SPEECH_HALF_S and for faces in docs/zero-shot.md come from here.

Words: pieces of the head's own sentences, spoken in noise and transcribed by Whisper, each read
by the means of the other sentences. Faces: each in 17 sizes, angles and lights. The loss is the
cross-entropy; what conveys no emotion ought to be read as even.
"""

import asyncio
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.fusion import zero_shot
from export.fusion.zero_shot_head import DOUBT, ZeroShotHead
from export.slots import audio_encoder, face_expression, text_encoder
from export.weights import fetch_all
from server.slots.expression import CropRule
from server.slots.face import crop_all
from server.slots.slot import CPU
from server.slots.speech import SpeechRecognizer
from tests import face_panel
from tests.benchmark.in_process import InProcess
from tests.benchmark.networks import OnnxNetworks
from tests.head_inputs import embed
from tests.speech_panel import encoder, say
from vemoclap_client.audio_windows import cut, window_starts
from vemoclap_client.contract import EMOTIONS, SAMPLE_RATE_HZ
from vemoclap_client.media._audio import decode_audio

NEUTRAL = len(EMOTIONS)
VOICES = ("kal16", "slt", "awb", "rms")
NOISE_DB = (3, 10, 30)
"""Power of the speech over that of the noise."""
WORDS = (1, 2, 3, 5, 8)
HALVES_S = (0.1, 0.25, 0.5, 1, 2, 5)
NEUTRAL_SHARES = (0.5, 0.75, 0.9)
WEIGHTS = np.arange(0, 3.01, 0.1)

TURNED = {f"turned by {degrees}, smaller": (0.7, degrees, 1) for degrees in (-15, -5, 5, 15)}
SMALLER = {f"{share} of it, darker": (share, 0, 0.5) for share in (0.6, 0.42, 0.8)}
SMILING = {(0, 2), (2, 1), (2, 2), (3, 2), (3, 3), (4, 1), (4, 3), (5, 0), (5, 1), (5, 3)}
"""Picture and face, looked at by eye; the others show no emotion."""
UNCLEAR = {(3, 0), (4, 0)}

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Said:
    """A piece of a sentence that Whisper understood as `heard`.

    Attributes:
        sentence: number of the sentence.
        label: number of its emotion, or NEUTRAL.
        words: how many.
        seconds: of speech, as the head takes them.
    """

    sentence: int
    label: int
    words: int
    heard: str
    seconds: float


def pool(estimates: Floats, weights: float | Floats) -> Floats:
    """The head's probabilities, [n, 6], of one modality's estimates, [n, 6]."""
    softened = (1 - DOUBT) * estimates + DOUBT / len(EMOTIONS)
    powers = softened ** np.broadcast_to(weights, len(estimates))[:, None]
    return np.asarray(powers / powers.sum(1, keepdims=True))


def loss(
    estimates: Floats, labels: NDArray[np.int64], weights: float | Floats, share: float
) -> float:
    """The mean cross-entropy if `share` of what is read conveys no emotion."""
    logs = np.log(pool(estimates, weights))
    emotional = labels < NEUTRAL
    told = logs[emotional, labels[emotional]].mean()
    return float(-(1 - share) * told - share * logs[~emotional].mean())


def best_weight(estimates: Floats, labels: NDArray[np.int64], share: float) -> float:
    losses = [loss(estimates, labels, float(weight), share) for weight in WEIGHTS]
    return float(WEIGHTS[int(np.argmin(losses))])


def sentences() -> list[tuple[str, int]]:
    groups = tomllib.loads(zero_shot.SENTENCES.read_text(encoding="utf-8"))
    names = (*EMOTIONS, "neutral")
    return [(text, label) for label, name in enumerate(names) for text in groups[name]]


def drawn(random: np.random.Generator) -> Iterator[tuple[int, int, str]]:
    """Number of a sentence, how many words of it, and these words."""
    own = sentences()
    for count in WORDS:
        for label in range(NEUTRAL + 1):
            long = [
                i
                for i, (text, of) in enumerate(own)
                if of == label and text.count(" ") >= count - 1
            ]
            for _ in range(24 if label == NEUTRAL else 4):
                number = int(random.choice(long))
                words = own[number][0].split()
                first = random.integers(0, len(words) - count + 1)
                yield number, count, " ".join(words[first : first + count])


def sound_of(text: str, random: np.random.Generator, folder: Path) -> NDArray[np.float32]:
    """The words in a voice, after 3 s and before 4 s of noise alone."""
    made, padded = folder / "made.wav", folder / "padded.wav"
    say(str(random.choice(VOICES)), text, made)
    options = ["-r", str(SAMPLE_RATE_HZ), "-c", "1", padded, "norm", "-3", "pad", "3", "4"]
    subprocess.run(["sox", made, *options], check=True)
    sound = decode_audio(padded).samples
    noise = np.cumsum(random.normal(size=len(sound)))
    noise -= np.convolve(noise, np.ones(800) / 800, "same")
    power = np.square(sound).sum() / max((np.abs(sound) > 1e-3).sum(), 1)
    noise *= np.sqrt(power / 10 ** (int(random.choice(NOISE_DB)) / 10) / noise.var())
    mixed = (sound + noise).astype(np.float32)
    return np.asarray(mixed / max(1, np.abs(mixed).max()), np.float32)


def spoken(networks: OnnxNetworks, head: ZeroShotHead) -> Iterator[Said]:
    """What Whisper understands of each piece, if anything."""
    random = np.random.default_rng(1)
    recognizer = SpeechRecognizer(face_panel.REPOSITORY / "speech_recognizer" / "1")
    encode = encoder(networks)
    own = sentences()
    with tempfile.TemporaryDirectory() as folder:
        for number, count, text in drawn(random):
            sound = sound_of(text, random, Path(folder))
            windows = {"WINDOW": cut(sound, window_starts(len(sound)))}
            rows = networks.run("audio_encoder", windows, ["FEATURES"])["FEATURES"]
            absent, speech, _ = recognizer._recognize(sound, encode)
            if speech is None or absent is not None:
                continue
            with torch.inference_mode():
                seconds = float(head._speech_s(torch.from_numpy(rows)[None]))
            yield Said(number, own[number][1], count, speech.text, seconds)


def read(said: list[Said]) -> Floats:
    """The estimate of each by the means of the sentences that it is not from: [n, 6]."""
    own = sentences()
    features, labels = embed([text for text, _ in own]), np.array([label for _, label in own])
    even = np.full((1, len(EMOTIONS)), 1 / len(EMOTIONS))
    to_emotion = np.concatenate([np.eye(len(EMOTIONS)), even])
    estimates = []
    for one, feature in zip(said, embed([one.heard for one in said]), strict=True):
        kept = np.arange(len(own)) != one.sentence
        means = np.stack([features[kept & (labels == group)].mean(0) for group in range(7)])
        cosines = means @ feature / np.linalg.norm(means, axis=1)
        powers = np.exp(zero_shot.SHARPNESS * cosines)
        estimates.append(powers / powers.sum() @ to_emotion)
    return np.stack(estimates)


def words_panel(networks: OnnxNetworks, head: ZeroShotHead) -> None:
    said = list(spoken(networks, head))
    estimates, labels = read(said), np.array([one.label for one in said])
    seconds, words = (
        np.array([getattr(one, name) for one in said]) for name in ("seconds", "words")
    )
    print(f"{len(said)} pieces understood")
    for count in WORDS:
        these = words == count
        right = (estimates.argmax(1) == labels)[these & (labels < NEUTRAL)].mean()
        weights = [best_weight(estimates[these], labels[these], share) for share in NEUTRAL_SHARES]
        median = np.median(seconds[these])
        print(
            f"{count} words: {median:.2f} s, {right:.2f} right, best weights {np.round(weights, 1)}"
        )
    for share in NEUTRAL_SHARES:
        always = loss(estimates, labels, 1.0, share)
        print(f"of which {share} neutral: loss {always:.3f}")
        for half in HALVES_S:
            grown = loss(estimates, labels, seconds / (seconds + half), share)
            print(f"    half the weight at {half} s: {grown:.3f}")


def faces_panel(folder: Path, networks: OnnxNetworks, head: ZeroShotHead) -> None:
    process = InProcess(face_panel.REPOSITORY, networks, CPU)
    names = [name for name in face_panel.FACES if name.startswith("package")]
    pictures = [(face_panel.read(folder / name), face_panel.FACES[name]) for name in names]
    readings: dict[tuple[int, int], list[Floats]] = {}
    for variant in (*face_panel.VARIANTS.values(), *TURNED.values(), *SMALLER.values()):
        placed, expected = zip(*(face_panel.place(*one, variant) for one in pictures), strict=True)
        frames = np.stack(placed)
        found = face_panel.detect(frames, process)
        for picture, boxes in enumerate(expected):
            for number, box in enumerate(boxes):
                same = [
                    f for f in found[picture] if face_panel.overlap(f.box, box) > face_panel.SAME
                ]
                if same and (picture, number) not in UNCLEAR:
                    crop = {"CROP": crop_all(frames, same[:1], CropRule())}
                    answer = asyncio.run(process.infer("face_expression", crop, ["PROBABILITIES"]))
                    estimate = answer["PROBABILITIES"][0] @ head.expression_to_emotion.numpy()
                    readings.setdefault((picture, number), []).append(estimate)
    random = np.random.default_rng(0)
    labels = np.repeat(
        [EMOTIONS.index("joy") if key in SMILING else NEUTRAL for key in readings], 40
    )
    for count in (1, 2, 4, 8, 14):
        draws = [
            np.stack(rows)[random.choice(len(rows), count, replace=False)].mean(0)
            for rows in readings.values()
            for _ in range(40)
        ]
        print(
            f"{count} readings of {len(readings)} faces: "
            f"best weight {best_weight(np.stack(draws), labels, 0.5):.1f}"
        )


def main() -> None:
    files = fetch_all(
        (*face_expression.ARTIFACTS, *audio_encoder.ARTIFACTS, *text_encoder.ARTIFACTS)
    )
    head, networks = zero_shot.load(files), OnnxNetworks(face_panel.REPOSITORY, CPU)
    faces_panel(Path(sys.argv[1]), networks, head)
    words_panel(networks, head)


if __name__ == "__main__":
    main()
