"""Transcribes synthetic speech and counts wrong words: `python -m tests.speech_panel`.

With the argument `encoders`, 56 sentences, clean and in noise, once with the encoding of slot
speech_encoder and once with CTranslate2's own.

Needs voices and sox: apt-get install flite festival festvox-italp16k festvox-ru sox. The embedded
profile must be exported. The table in docs/files.md comes from here.
"""

import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.slots.slot import CPU
from server.slots.speech import ENCODER, SpeechRecognizer
from server.slots.whisper import Encoder
from tests.benchmark.networks import OnnxNetworks
from vemoclap_client.media._audio import decode_audio

PROJECT = Path(__file__).parents[1]
HAPPY = ("kal16", "I am so happy that you came to see me today")
ROOM = ("slt", "Please leave the room and close the door")
KEYS = ("awb", "She lost her keys and could not open the car")
TRAIN = ("rms", "The train was late again and everybody was angry")
CHANT = ("slt", ". ".join(["We want more"] * 8))
ITALIAN = (
    "(voice_lp_diphone)",
    "Buongiorno a tutti, oggi è una bella giornata. Mia madre è morta.",
)
RUSSIAN = ("(voice_msu_ru_nsh_clunits)", "Сегодня очень хорошая погода. Моя мама живёт в городе.")

SENTENCES = PROJECT / "tests" / "parity" / "emotion_sentences.toml"
VOICES = ("kal16", "slt", "awb", "rms")
NOISE = 0.01
"""Standard deviation, of samples of 0.7 at most."""

PANEL: dict[str, list[tuple[str, str] | int]] = {
    "kal": [HAPPY],
    "slt": [ROOM],
    "awb": [KEYS],
    "rms": [TRAIN],
    "one sentence four times": [TRAIN, 1, TRAIN, 1, TRAIN, 1, TRAIN],
    "a chant, eight times": [CHANT],
    "after 20 s": [20, ROOM],
    "a pause of 2 min": [TRAIN, 120, ROOM],
    "English, Italian": [HAPPY, 1, TRAIN, 1, ITALIAN],
    "English, Italian, English": [ROOM, 1, ITALIAN, 1, TRAIN],
    "Russian, English": [RUSSIAN, 1, ROOM, 1, TRAIN],
    "Italian": [ITALIAN],
    "silence": [12],
    "music": [],
    "noise": [],
}
"""Name -> what follows what: a voice with a text, or seconds of silence."""

SYNTHESIS = {"music": "sine 262 sine 330 sine 392 tremolo 3 60", "noise": "brownnoise"}


def say(voice: str, text: str, file: Path) -> None:
    if voice.startswith("("):
        command = ["text2wave", "-eval", voice, "-o", str(file)]
        encoding = "latin1" if voice == ITALIAN[0] else "utf-8"
        subprocess.run(command, input=text.encode(encoding), check=True)
    else:
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(file)], check=True)


def make(name: str, folder: Path) -> Path:
    file, parts = folder / f"{name}.wav", []
    for number, part in enumerate(PANEL[name]):
        made, plain = folder / f"{number}.wav", folder / f"{number}.16k.wav"
        if isinstance(part, int):
            subprocess.run(["sox", "-n", "-r", "16000", plain, "trim", "0", str(part)], check=True)
        else:
            say(*part, made)
            subprocess.run(["sox", made, "-r", "16000", "-c", "1", plain, "norm", "-3"], check=True)
        parts.append(plain)
    if parts:
        subprocess.run(["sox", *parts, file], check=True)
    else:
        synth = ["synth", "12", *SYNTHESIS[name].split(), "gain", "-12"]
        subprocess.run(["sox", "-n", "-r", "16000", file, *synth], check=True)
    return file


def words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == " " else " " for c in text.lower()).split()


def wrong_words(spoken: list[str], heard: list[str]) -> int:
    """Words to replace, insert or delete (Levenshtein's distance)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(spoken, 1):
        previous, row[0] = row[0], number
        for i, other in enumerate(heard, 1):
            replaced = previous + (word != other)
            previous, row[i] = row[i], min(row[i] + 1, row[i - 1] + 1, replaced)
    return row[-1]


def encoder(networks: OnnxNetworks) -> Encoder:
    """Slot speech_encoder's network, in this process."""

    def encode(mels: NDArray[np.float32]) -> NDArray[np.float32]:
        (features,) = networks.run(ENCODER, {"MELS": mels[None]}, ["FEATURES"])["FEATURES"]
        return np.asarray(features, np.float32)

    return encode


def compare_encoders() -> None:
    recognizer = SpeechRecognizer(PROJECT / "model_repository" / "speech_recognizer" / "1")
    slot = encoder(OnnxNetworks(PROJECT / "model_repository", CPU))
    encoders: dict[str, Encoder | None] = {"speech_encoder": slot, "CTranslate2": None}
    groups = tomllib.loads(SENTENCES.read_text(encoding="utf-8"))
    texts = [text for group in groups.values() for text in group]
    random = np.random.default_rng(0)
    for noise in (0, NOISE):
        wrong, seconds = Counter[str](), Counter[str]()
        with tempfile.TemporaryDirectory() as folder:
            for number, text in enumerate(texts):
                made, plain = Path(folder) / "made.wav", Path(folder) / "plain.wav"
                say(VOICES[number % len(VOICES)], text, made)
                # Without dither: sox draws it anew each time.
                convert = ["sox", "-D", made, "-r", "16000", plain, "norm", "-3", "pad", "1", "1"]
                subprocess.run(convert, check=True)
                sound = decode_audio(plain).samples
                sound = sound + noise * random.normal(size=len(sound)).astype(np.float32)
                for name, encode in encoders.items():
                    recognizer._whisper._encoded = None
                    started = time.process_time()
                    _, speech, _ = recognizer._recognize(sound, encode)
                    seconds[name] += time.process_time() - started
                    wrong[name] += wrong_words(words(text), words(speech.text if speech else ""))
        spoken = sum(len(words(text)) for text in texts)
        for name in encoders:
            print(
                f"noise {noise:<5} {name:15} {wrong[name]:3} of {spoken} words wrong, "
                f"{seconds[name]:.1f} s of processor time"
            )


def main() -> None:
    encode = encoder(OnnxNetworks(PROJECT / "model_repository", CPU))
    recognizer = SpeechRecognizer(PROJECT / "model_repository" / "speech_recognizer" / "1")
    with tempfile.TemporaryDirectory() as folder:
        for name, parts in PANEL.items():
            audio = decode_audio(make(name, Path(folder))).samples
            started = time.process_time()
            _, speech, _ = recognizer._recognize(audio, encode)
            seconds = time.process_time() - started
            segments = speech.segments if speech else ()
            texts = [part for part in parts if not isinstance(part, int)]
            spoken = [word for voice, text in texts if voice[0] != "(" for word in words(text)]
            heard = [w for one in segments if one.language == "en" for w in words(one.text)]
            foreign = " | ".join(f"{s.language}: {s.text}" for s in segments if s.language != "en")
            print(
                f"{name:28} {wrong_words(spoken, heard):3} of {len(spoken):3} words wrong, "
                f"{seconds:.1f} s of processor time  {foreign}"
            )


if __name__ == "__main__":
    compare_encoders() if sys.argv[1:] == ["encoders"] else main()
