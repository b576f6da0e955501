"""On-screen text in other languages: identified and translated where the profile can."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.networks.byte_tokenizer import byte_level
from server.repository import read_config
from server.slots import language, screen, screen_text
from server.slots.slot import OverloadedError, Tensors
from server.slots.text import TOKEN_LENGTHS

REPOSITORY = Path(__file__).parents[2] / "model_repository"
LABELS = ("en", "fr", "de", "zh", "eo")
TOKENIZER = byte_level(300)
GERMAN = "das ist ganz bestimmt ein deutscher satz über das wetter"
ENGLISH = {"bonjour": "good day", "merci": "thank you", "你好": "good day", "hein": " "}
LANGUAGES = dict.fromkeys(("bonjour", "merci", "hein"), "fr") | {"你好": "zh", "hallo": "de"}


class Slots:
    """A fake text encoder, language identifier and translator; remembers what they were asked."""

    def __init__(self, certainty: float = 0.95) -> None:
        self.certainty = certainty
        self.asked: list[tuple[str, Any]] = []

    async def __call__(
        self, slot: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Tensors:
        return await getattr(self, slot)(inputs)

    async def text_encoder(self, inputs: Mapping[str, NDArray[Any]]) -> Tensors:
        self.asked.append(("text_encoder", texts_of(inputs)))
        return {"FEATURES": np.ones((1, 4), np.float32), "SENTIMENT": np.ones((1, 3), np.float32)}

    async def language_identifier(self, inputs: Mapping[str, NDArray[Any]]) -> Tensors:
        texts = texts_of(inputs)
        self.asked.append(("language_identifier", texts))
        rest = (1 - self.certainty) / (len(LABELS) - 1)
        rows = np.full((len(texts), len(LABELS)), rest, np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[LABELS.index(LANGUAGES.get(text, "en"))] = self.certainty
        return {"PROBABILITIES": rows}

    async def translator(self, inputs: Mapping[str, NDArray[Any]]) -> Tensors:
        pairs = [
            (text[0].decode(), code[0].decode())
            for text, code in zip(inputs["TEXT"], inputs["LANGUAGE"], strict=True)
        ]
        self.asked.append(("translator", pairs))
        if any(code == "de" for _, code in pairs):
            raise RuntimeError("slot translator: out of memory")
        english = [[ENGLISH.get(text, text.upper()).encode()] for text, _ in pairs]
        return {"TRANSLATION": np.array(english, object)}

    def asked_of(self, slot: str) -> list[Any]:
        return [question for name, question in self.asked if name == slot]


class FoundLines:
    """A text reader that finds the same lines in all frames."""

    def __init__(self, lines: list[screen.DetectedLine]) -> None:
        self.lines = lines

    async def read(self, *_: object) -> tuple[list[screen.DetectedLine], tuple[int, ...]]:
        return self.lines, (0,)


def texts_of(inputs: Mapping[str, NDArray[Any]]) -> list[str]:
    assert inputs["INPUT_IDS"].shape[1] in TOKEN_LENGTHS
    return [
        TOKENIZER.decode(ids[mask == 1].tolist())
        for ids, mask in zip(inputs["INPUT_IDS"], inputs["ATTENTION_MASK"], strict=True)
    ]


Read = Callable[..., tuple[int, dict[str, Any], Slots]]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Lets a screen reader find texts; returns LENGTH, EVIDENCE, and what was asked."""

    def read_texts(
        texts: Sequence[str],
        filled: Sequence[str] = ("language_identifier", "translator"),
        slots: Slots | None = None,
    ) -> tuple[int, dict[str, Any], Slots]:
        for slot in ("text_encoder", *filled):
            (tmp_path / slot / "1").mkdir(parents=True)
            (tmp_path / slot / "1" / "export.json").touch()
            TOKENIZER.save(str(tmp_path / slot / "tokenizer.json"))
            (tmp_path / slot / "labels.txt").write_text("\n".join(LABELS))
        lines = [screen.DetectedLine(0, (0, 0, 9, 9), text, 0.99) for text in texts]
        monkeypatch.setattr(screen, "TextReader", lambda _: FoundLines(lines))
        slots = slots or Slots()
        reader = screen.ScreenReader(tmp_path / "screen_reader" / "1")
        outputs = asyncio.run(reader.run({"FRAMES": np.zeros((16, 90, 160, 3), np.uint8)}, slots))
        return int(outputs["LENGTH"][0]), json.loads(outputs["EVIDENCE"][0]), slots

    return read_texts


def test_only_what_is_foreign_is_translated_and_shown_as_it_was(read: Read) -> None:
    length, evidence, slots = read(["Exit", "Bonjour", "Merci"])
    assert length == 1
    assert evidence["absent"] is None
    found = evidence["screen_text"]
    assert found["text"] == "exit. good day. thank you"
    assert found["language"] == "fr"
    assert [line["text"] for line in found["lines"]] == ["Exit", "Bonjour", "Merci"]
    assert slots.asked_of("translator") == [[("bonjour", "fr"), ("merci", "fr")]]
    assert slots.asked_of("text_encoder")[-1] == ["exit. good day. thank you"]


def test_what_is_equal_in_english_is_kept_once(read: Read) -> None:
    texts = ["你好", "BONJOUR", "good day", "bonjour"]
    _, evidence, slots = read(texts)
    assert evidence["screen_text"]["text"] == "good day"
    assert slots.asked_of("translator") == [[("你好", "zh"), ("bonjour", "fr")]]


def test_what_is_uncertain_counts_as_english(read: Read) -> None:
    length, evidence, slots = read(["bonjour"], slots=Slots(0.89))
    assert length == 1
    assert evidence["screen_text"]["language"] == "unknown"
    assert evidence["screen_text"]["text"] == "bonjour"
    assert slots.asked_of("translator") == []


def test_a_translator_that_fails_makes_the_text_absent(read: Read) -> None:
    length, evidence, slots = read(["Hallo"])
    assert length == 0
    assert evidence["absent"] == (
        "the on-screen text is in language 'de', which could not be translated: "
        "slot translator: out of memory"
    )
    assert evidence["screen_text"]["text"] == "hallo"
    assert evidence["screen_text"]["sentiment"] is None
    assert slots.asked_of("text_encoder") == [[""]]  # how wide features are


def test_what_needs_no_translation_is_kept_when_the_translator_fails(read: Read) -> None:
    length, evidence, slots = read(["Exit", "Hallo"])
    assert length == 1
    assert evidence["absent"] is None
    assert evidence["screen_text"]["text"] == "exit. hallo"
    assert slots.asked_of("text_encoder")[-1] == ["exit"]


def test_a_translator_that_fails_is_not_asked_again(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"wort {number}" for number in range(2 * language.TRANSLATED_AT_ONCE)]
    for text in texts:
        monkeypatch.setitem(LANGUAGES, text, "de")
    assert len(read(texts)[2].asked_of("translator")) == 1


def test_a_language_that_the_translator_does_not_know_costs_no_other_line(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LANGUAGES, "saluton", "eo")
    _, evidence, slots = read(["Saluton", "Merci"])
    assert evidence["screen_text"]["text"] == "saluton. thank you"
    assert slots.asked_of("text_encoder")[-1] == ["thank you"]


def test_a_text_in_such_a_language_alone_is_absent(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LANGUAGES, "saluton", "eo")
    length, evidence, slots = read(["Saluton"])
    assert length == 0
    assert evidence["absent"].endswith("'eo', which the translator was not trained with")
    assert slots.asked_of("translator") == []


def test_a_translator_with_too_much_to_do_is_an_error(read: Read) -> None:
    class Overloaded(Slots):
        async def translator(self, inputs: Mapping[str, NDArray[Any]]) -> Tensors:
            raise OverloadedError("slot translator: Exceeds maximum queue size")

    with pytest.raises(OverloadedError):
        read(["Exit", "Bonjour"], slots=Overloaded())


def test_a_translation_without_words_makes_the_text_absent(read: Read) -> None:
    length, evidence, _ = read(["hein"])
    assert length == 0
    assert evidence["absent"].endswith("'fr', which the translator has no words for")
    assert evidence["screen_text"]["text"] == "hein"


def test_without_a_translator_the_text_is_identified_as_a_whole(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LANGUAGES, "bonjour. exit", "fr")
    texts, filled = ["Bonjour", "Exit"], ["language_identifier"]
    length, evidence, slots = read(texts, filled)
    assert length == 0
    assert evidence["absent"].endswith("'fr', which this profile cannot translate")
    assert slots.asked_of("language_identifier") == [["bonjour. exit"]]


def test_without_an_identifier_the_small_one_is_asked(read: Read) -> None:
    _, evidence, slots = read([GERMAN], ["translator"])
    assert slots.asked_of("language_identifier") == []
    assert slots.asked_of("translator") == [[(GERMAN, "de")]]
    assert evidence["screen_text"]["language"] == "de"


def test_many_texts_are_asked_about_in_parts(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"mot {number}" for number in range(screen_text.TEXTS_AT_MOST + 3)]
    for text in texts:
        monkeypatch.setitem(LANGUAGES, text, "fr")
    _, evidence, slots = read(texts)
    for slot, limit in (
        ("language_identifier", language.IDENTIFIED_AT_ONCE),
        ("translator", language.TRANSLATED_AT_ONCE),
    ):
        sizes = [len(question) for question in slots.asked_of(slot)]
        assert max(sizes) <= limit
    asked = [text for question in slots.asked_of("language_identifier") for text in question]
    assert asked == texts[: screen_text.TEXTS_AT_MOST]
    assert evidence["screen_text"]["text"].startswith("MOT 0. MOT 1. MOT 2")


def test_what_the_text_encoder_would_cut_is_not_translated(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"mot {number}" for number in range(100, 300)]
    for text in texts:
        monkeypatch.setitem(LANGUAGES, text, "fr")
    _, evidence, slots = read(texts)
    english = [text.upper() for text in texts]
    translated = sum(len(question) for question in slots.asked_of("translator"))
    assert translated < len(texts) / 2
    assert evidence["screen_text"]["text"] == ". ".join(english[:translated] + texts[translated:])
    # Byte for byte what it would be if all were translated.
    (encoded,) = slots.asked_of("text_encoder")[-1]
    assert encoded == ". ".join(english)[: TOKEN_LENGTHS[-1]]


def test_the_translator_takes_what_is_sent_at_once() -> None:
    config = read_config(REPOSITORY / "translator" / "config.pbtxt")
    assert config.max_batch_size >= language.TRANSLATED_AT_ONCE
