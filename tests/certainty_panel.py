"""How certain the zero-shot head is, by how much evidence there is: before and after a change.

    python -m tests.certainty_panel BEFORE.onnx [CLIP ...]

BEFORE.onnx is `model_repository/fusion/1/model.onnx` as another commit exports it. The embedded
profile must be exported, `make samples` have been called, and the voice be there: apt-get install
flite sox. Prints the table in docs/zero-shot.md.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.configuration import REPOSITORY
from export.spec import Arrays
from server.slots.slot import CPU
from tests.benchmark.in_process import InProcess
from tests.benchmark.networks import OnnxNetworks
from tests.head_inputs import embed, face_rows, nothing, put
from tests.speech_panel import say
from vemoclap_client import decode
from vemoclap_client.audio_windows import cut, window_starts
from vemoclap_client.contract import EMOTIONS, FEATURES, LENGTHS, MODALITIES
from vemoclap_client.media._audio import decode_audio
from vemoclap_client.result import EVEN_MARGIN

SAMPLES = REPOSITORY.parent / "samples"
SAD_WORDS = (
    "My mother died last winter and I miss her so much that I cry every night when I am alone"
)
LINES = "In loving memory. He died too young. We miss him every day. Rest in peace, dear brother"
CLIP_S = 12
"""Length of the sound that words are spoken in; silence follows them."""


class Clips:
    """Features of real clips and of spoken words, by the embedded profile's own slots."""

    def __init__(self) -> None:
        self._networks = OnnxNetworks(REPOSITORY, CPU)
        outputs = (*FEATURES.values(), LENGTHS)
        self._process = InProcess(REPOSITORY, self._networks, CPU, outputs=outputs)

    def read(self, path: Path) -> Arrays:
        """The head's inputs of a clip."""
        decoded = decode(path)
        return self._process.classify(decoded.frames, decoded.audio)

    def windows(self, words: str) -> NDArray[np.float32]:
        """The audio features of words, spoken, float32 [windows, width]."""
        with tempfile.TemporaryDirectory() as folder:
            made, padded = Path(folder) / "said.wav", Path(folder) / "padded.wav"
            say("slt", words, made)
            length = ["pad", "1", str(CLIP_S), "trim", "0", str(CLIP_S)]
            subprocess.run(["sox", "-V1", made, "-r", "16000", padded, *length], check=True)
            sound = decode_audio(padded).samples
        batch = {"WINDOW": cut(sound, window_starts(len(sound)))}
        rows = self._networks.run("audio_encoder", batch, ["FEATURES"])["FEATURES"]
        return np.asarray(rows, np.float32)


def rows_of(clip: Mapping[str, NDArray[np.float32]], modality: str) -> NDArray[np.float32]:
    """The real rows of a modality."""
    length = int(clip[LENGTHS][0, MODALITIES.index(modality)])
    return clip[FEATURES[modality]][0, :length]


def composed(**rows: NDArray[np.float32]) -> Arrays:
    """The head's inputs of a clip with these rows, modality -> float32 [n, width]."""
    inputs = nothing()
    for modality, features in rows.items():
        put(inputs, modality, features)
    return inputs


def kinds(clips: Clips) -> Iterator[tuple[str, str, Arrays]]:
    """Kinds of clip, the evidence in them, and the head's inputs."""
    portrait = clips.read(SAMPLES / "portrait.mp4")
    faces, sad = rows_of(portrait, "face"), face_rows("sad", 16)
    yield "silence, no face, no text", "none", composed()
    yield "music, animation (sample `bunny`)", "none", clips.read(SAMPLES / "bunny.mp4")
    for count in (1, 2, 4, 8, 16):
        yield "a face that smiles", f"{count} of 16 frames", composed(face=faces[:count])
    half = np.concatenate([faces[:8], sad[:8]])
    yield "faces that disagree", "8 frames smile, 8 are sad", composed(face=half)
    for count in (1, 5, 20):
        words = " ".join(SAD_WORDS.split()[:count]) if count > 1 else "Died"
        said, voice = embed([words]), clips.windows(words)
        yield "sad words, said", f"words: {count}", composed(speech=said, audio=voice)
    yield (
        "one face, 20 sad words",
        "1 of 16 frames smiles",
        composed(face=faces[:1], speech=said, audio=voice),
    )
    yield (
        "faces and 20 words disagree",
        "16 frames smile, words are sad",
        composed(face=faces, speech=said, audio=voice),
    )
    yield (
        "faces and 20 words agree",
        "16 frames and words are sad",
        composed(face=sad, speech=said, audio=voice),
    )
    for text, count in ((LINES.split(".")[0], "1 line"), (LINES, "4 lines")):
        yield "sad text on the screen", count, composed(text=embed([text]))
    yield "sample `title_card`", "3 sad lines", clips.read(SAMPLES / "title_card.mp4")
    yield "sample `portrait`", "16 faces, 10 s of speech, a line", portrait
    for path in map(Path, sys.argv[2:]):
        clip = clips.read(path)
        others = [name for name in ("speech", "text") if len(rows_of(clip, name))]
        evidence = ", ".join([f"faces in {len(rows_of(clip, 'face'))} frames", *others])
        yield path.name, evidence, clip


def answer(head: onnxruntime.InferenceSession, inputs: Arrays) -> str:
    """The most probable emotion and its probability."""
    given = {name: inputs[name] for name in (*FEATURES.values(), LENGTHS)}
    (probabilities,) = head.run(["PROBABILITIES"], given)[0]
    if probabilities.max() < 1 / len(EMOTIONS) + EVEN_MARGIN:
        return "even"
    return f"{EMOTIONS[int(probabilities.argmax())]} {probabilities.max():.2f}"


def main() -> None:
    paths = (Path(sys.argv[1]), REPOSITORY / "fusion" / "1" / "model.onnx")
    heads = [onnxruntime.InferenceSession(path) for path in paths]
    print("| clip | evidence | before | after |\n| --- | --- | --- | --- |")
    for name, evidence, inputs in kinds(Clips()):
        answers = " | ".join(answer(head, inputs) for head in heads)
        print(f"| {name} | {evidence} | {answers} |", flush=True)


if __name__ == "__main__":
    main()
