"""What the paper profile's networks compute, against the libraries that published them.

Checkpoints are made here, in the layout of the published ones; the transformers are of small
sizes, CLIP is of full size.
"""

import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)
from transformers.utils import logging as transformers_logging

from export import parity, precision
from export.errors import CheckpointError
from export.networks import (
    clip_image_encoder,
    expression_transformer,
    language_classifier,
    sentiment_encoder,
)
from export.slots.paper import face_detector, face_expression, language_identifier
from server.slots import face
from vemoclap_client.contract import EXPRESSIONS, SENTIMENTS

pytestmark = pytest.mark.parity

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "initializer_range": 0.3,
}
SMALL_ROBERTA = SMALL | {
    "vocab_size": 300,
    "max_position_embeddings": 66,
    "type_vocab_size": 1,
    "pad_token_id": 1,
}
SHUFFLED = ("surprise", "neutral", "angry", "sad", "happy", "fear", "disgust")


def published(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Write model.safetensors and config.json as the hub has them; return the model."""
    transformers_logging.disable_progress_bar()
    model.save_pretrained(folder)
    return model.eval()


@pytest.fixture(scope="module")
def clip() -> Iterator[SimpleNamespace]:
    """open_clip's whole model, and its image tower with a part of its text tower in a file."""
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32-quickgelu").eval()
    state = model.state_dict()
    kept = {key: state[key] for key in state if key.startswith(("visual.", "ln_final", "logit"))}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "open_clip_model.safetensors"
        save_file(kept, path)
        yield SimpleNamespace(model=model, encoder=clip_image_encoder.load(path))


@pytest.fixture(scope="module")
def expression(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("expression")
    torch.manual_seed(0)
    labels = dict(enumerate(SHUFFLED))
    model = published(
        ViTForImageClassification(ViTConfig(**SMALL, image_size=64, id2label=labels)), folder
    )
    files = folder / "model.safetensors", folder / "config.json"
    crops = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    return SimpleNamespace(
        model=model,
        files=files,
        crops=torch.from_numpy(crops),
        ours=expression_transformer.load(*files),
    )


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("sentiment")
    torch.manual_seed(0)
    labels = dict(enumerate(SENTIMENTS))
    model = published(
        RobertaForSequenceClassification(RobertaConfig(**SMALL_ROBERTA, id2label=labels)), folder
    )
    # The published file is torch's, and has weights that no classifier uses.
    state = load_file(folder / "model.safetensors") | {
        "roberta.pooler.dense.weight": torch.zeros(32, 32),
        "roberta.pooler.dense.bias": torch.zeros(32),
        "roberta.embeddings.position_ids": torch.arange(66)[None],
    }
    weights = folder / "pytorch_model.bin"
    torch.save(state, weights)
    ours = sentiment_encoder.load(weights, folder / "config.json")
    return SimpleNamespace(model=model, weights=weights, ours=ours)


def padded(fill: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three texts of 5, 12 and 20 tokens, padded with `fill` to 20."""
    ids = torch.from_numpy(np.random.default_rng(0).integers(4, 300, (3, 20)))
    mask = (torch.arange(20) < torch.tensor([[5], [12], [20]])).long()
    return torch.where(mask > 0, ids, fill), mask


def test_clip_features_are_those_of_open_clip(clip: SimpleNamespace) -> None:
    pixels = torch.rand(2, 3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    (mean, deviation) = (
        torch.tensor(v).view(3, 1, 1)
        for v in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    with torch.inference_mode():
        (found,) = clip.encoder(pixels)
        expected = clip.model.encode_image(((pixels - mean) / deviation).flatten(0, 1))
    torch.testing.assert_close(found.flatten(0, 1), expected)
    assert (found.norm(dim=-1) > 1.5).all()  # not of length one


def test_a_clip_checkpoint_of_a_training_run_fits(clip: SimpleNamespace, tmp_path: Path) -> None:
    state = {f"module.{key}": value for key, value in clip.encoder.state_dict().items()}
    path = tmp_path / "epoch_1.pt"
    torch.save({"epoch": 1, "state_dict": state}, path)
    again = clip_image_encoder.load(path).visual.proj
    path.unlink()
    torch.testing.assert_close(again, clip.encoder.visual.proj)


def test_a_clip_checkpoint_without_an_image_tower_names_what_is_missing(tmp_path: Path) -> None:
    save_file({"logit_scale": torch.zeros(1)}, tmp_path / "text.safetensors")
    with pytest.raises(CheckpointError, match=r"152 keys missing: visual\.class_embedding"):
        clip_image_encoder.load(tmp_path / "text.safetensors")


def test_openais_program_is_refused_unrun_and_the_right_file_named(tmp_path: Path) -> None:
    path = tmp_path / "ViT-B-32.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ViT-B-32/code/__torch__.py", "raise SystemExit")
    with pytest.raises(CheckpointError, match=r"open_clip_model\.safetensors"):
        clip_image_encoder.load(path)


def test_the_face_feature_is_the_first_token_before_the_last_norm(
    expression: SimpleNamespace,
) -> None:
    pixels = expression.crops.permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        features, _ = expression.ours(expression.crops)
        answer = expression.model((pixels - 0.5) / 0.5, output_hidden_states=True)
        normed = expression.model.vit.layernorm(features)
        logits = expression.model.classifier(normed)
    torch.testing.assert_close(features, answer.hidden_states[-1][:, 0])
    torch.testing.assert_close(logits, answer.logits)
    assert not torch.allclose(features, normed, atol=0.1)


@pytest.mark.parametrize("size", [(80, 50), (50, 80), (300, 200), (250, 180)])
def test_a_face_is_prepared_as_the_model_does_it(size: tuple[int, int]) -> None:
    """But for the rounding of a level, which differs between the libraries that scale."""
    height, width = size
    picture = np.random.default_rng(0).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    frame = picture.astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    found = face.DetectedFace(0, (0, 0, width, height), 0.9)
    crop = face.crop(frame, found, face_expression.CROP_RULE)
    theirs = ViTImageProcessor()(frame[:height, :width], return_tensors="pt")["pixel_values"][0]
    levels = (theirs.permute(1, 2, 0) + 1) * 127.5
    torch.testing.assert_close(torch.tensor(crop).float(), levels, atol=1.01, rtol=0)


def test_expressions_are_in_the_order_of_the_contract(expression: SimpleNamespace) -> None:
    pixels = expression.crops.permute(0, 3, 1, 2) / 255
    names = {"disgust": "disgusted", "fear": "fearful", "surprise": "surprised"}
    labels = [names.get(label, label) for label in SHUFFLED]
    with torch.inference_mode():
        _, found = expression.ours(expression.crops)
        theirs = expression.model((pixels - 0.5) / 0.5).logits.softmax(-1)
    expected = torch.stack([theirs[:, labels.index(name)] for name in EXPRESSIONS], 1)
    torch.testing.assert_close(found, expected)


def test_other_expressions_are_refused(expression: SimpleNamespace, tmp_path: Path) -> None:
    settings = json.loads(expression.files[1].read_text())
    settings["id2label"]["0"] = "contempt"
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=r"contempt.*needed are angry, disgust"):
        expression_transformer.load(expression.files[0], tmp_path / "config.json")


def test_the_text_feature_and_sentiments_are_those_of_transformers(
    sentiment: SimpleNamespace,
) -> None:
    ids, mask = padded(fill=1)
    with torch.inference_mode():
        features, probabilities = sentiment.ours(ids, mask)
        answer = sentiment.model(ids, attention_mask=mask, output_hidden_states=True)
    torch.testing.assert_close(features, answer.hidden_states[-1][:, 0])
    torch.testing.assert_close(probabilities, answer.logits.softmax(-1))


def test_neither_the_amount_of_padding_nor_its_token_matters(sentiment: SimpleNamespace) -> None:
    ids, mask = padded(fill=0)
    longer = torch.nn.functional.pad(ids, (0, 44)), torch.nn.functional.pad(mask, (0, 44))
    with torch.inference_mode():
        expected = sentiment.ours(ids, mask)
        found = [sentiment.ours(padded(fill=7)[0], mask), sentiment.ours(*longer)]
        alone = sentiment.ours(ids[:1, :5], mask[:1, :5])
    for answer in found:
        torch.testing.assert_close(answer, expected)
    torch.testing.assert_close(alone[0], expected[0][:1])


def test_sentiments_in_another_order_are_refused(
    sentiment: SimpleNamespace, tmp_path: Path
) -> None:
    settings = json.loads(sentiment.weights.with_name("config.json").read_text())
    settings["id2label"] = {"0": "positive", "1": "neutral", "2": "negative"}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match="in this order, negative, neutral, positive"):
        sentiment_encoder.load(sentiment.weights, tmp_path / "config.json")


def test_languages_are_those_of_transformers_in_the_models_order(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    labels = dict(enumerate(reversed(language_identifier.LANGUAGES)))
    config = XLMRobertaConfig(**SMALL_ROBERTA, id2label=labels)
    model = published(XLMRobertaForSequenceClassification(config), tmp_path)
    sentiment_encoder.byte_tokenizer().save(str(tmp_path / "tokenizer.json"))
    ours = language_identifier.restore(tmp_path / "model.safetensors")
    folder = tmp_path / "slot"
    folder.mkdir()
    language_identifier.make_restored(tmp_path / "model.safetensors", folder)
    ids, mask = padded(fill=1)
    with torch.inference_mode():
        (found,) = ours(torch.where(mask > 0, ids, 0), mask)
        expected = model(ids, attention_mask=mask).logits.softmax(-1)
    torch.testing.assert_close(found, expected)
    assert (folder / "labels.txt").read_text().split() == list(labels.values())
    assert (folder / "tokenizer.json").is_file()
    assert ours.labels == language_classifier.read_labels(tmp_path / "config.json")


def test_in_float16_the_networks_still_answer_float32(
    expression: SimpleNamespace, sentiment: SimpleNamespace
) -> None:
    for network, inputs in (
        (expression.ours, (expression.crops,)),
        (sentiment.ours, padded(fill=0)),
        (face_detector.random(), (torch.zeros(1, 640, 640, 3, dtype=torch.uint8),)),
    ):
        with torch.inference_mode():
            expected, found = network(*inputs), precision.halve(network)(*inputs)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.dtype == torch.float32
            assert parity.largest_difference(ours.numpy(), theirs.numpy()) < 2e-2
