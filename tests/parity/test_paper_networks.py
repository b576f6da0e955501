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
from onnx import ModelProto, parser, save
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, ByteLevelBPETokenizer, Tokenizer
from transformers import (
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaTokenizer,
    ViTConfig,
    ViTForImageClassification,
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
    yolo_face,
)
from export.slots.paper import face_detector, language_identifier, text_encoder
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
TEXTS = (
    "",
    " ",
    "Hello world",
    "  two  spaces\tand\na newline ",
    "Crème brûlée à volonté, naïve façade",
    "😀 so happy 👩‍👩‍👧 !!!",
    "日本語のテキスト و العربية",
    "@user http don't we'll it's",
    "literally <mask> and </s> and <s>",
    "e\u0301 combining, \u00a0 no-break, \u200b zero width",
)


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


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vocab.json and merges.txt of a tokenizer that merges, with RoBERTa's special tokens."""
    folder = tmp_path_factory.mktemp("vocabulary")
    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    text = ["hello world, two spaces and a newline; happy, literally happy", *TEXTS]
    trained.train_from_iterator(
        text, vocab_size=320, min_frequency=1, show_progress=False, special_tokens=special
    )
    trained.save_model(str(folder))
    return folder


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


def test_a_checkpoint_of_another_network_names_its_keys(
    expression: SimpleNamespace, sentiment: SimpleNamespace
) -> None:
    with pytest.raises(CheckpointError, match=r"missing: roberta\..*unexpected: .*classifier"):
        sentiment_encoder.load(expression.files[0], sentiment.weights.with_name("config.json"))


@pytest.mark.parametrize("text", TEXTS)
def test_the_tokenizer_is_that_of_transformers(text: str, vocabulary: Path) -> None:
    # As transformers 4 made it and the published special_tokens_map.json has it: version 5 would
    # take a bare <mask> for one that does not swallow the space before it.
    mask = AddedToken("<mask>", lstrip=True, normalized=False, special=True)
    theirs = RobertaTokenizer.from_pretrained(str(vocabulary), mask_token=mask)
    ours = sentiment_encoder.read_tokenizer(vocabulary / "vocab.json", vocabulary / "merges.txt")
    assert ours.encode(text).ids == theirs(text)["input_ids"]


def test_the_tokenizers_of_random_weights_know_every_text(tmp_path: Path) -> None:
    for slot in (text_encoder, language_identifier):
        slot.make_random(0, tmp_path)
        tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        for text in TEXTS[:8]:
            ids = tokenizer.encode(text).ids
            assert (ids[0], ids[-1], len(ids)) == (0, 2, len(text.encode()) + 2)
            assert tokenizer.decode(ids) == text
    assert (tmp_path / "labels.txt").read_text().split() == list(language_identifier.LANGUAGES)


def test_a_text_checkpoint_without_its_tokenizer_says_what_to_bring(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vocab\.json, .*merges\.txt not found"):
        text_encoder.make_restored(tmp_path / "pytorch_model.bin", tmp_path)


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


def test_random_anchors_cover_the_image() -> None:
    anchors = face_detector.random().anchors[0]
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert anchors.shape == (face_detector.ANCHORS, 4)
    assert (anchors[:, 2:] > anchors[:, :2]).all()
    assert (centres.amin(0) < 0.02).all() and (centres.amax(0) > 0.98).all()


def detector(
    batch: int | str = "n", width: int = 16, inner_batch: int = 0, last: str = ""
) -> ModelProto:
    """A graph with the inputs and outputs of a YOLOv5-face, whose rows are means of pixels."""
    return parser.parse_model(f"""
        <ir_version: 7, opset_import: ["": 12]>
        detector (float[{batch}, 3, 640, 640] IMAGE) => (float[{batch}, 24, {width}] output)
        <int64[3] shape = {{{inner_batch}, 24, {width}}}, float zero = {{0}}>
        {{
            pooled = AveragePool<kernel_shape = [40, {1280 // width}],
                                 strides = [40, {1280 // width}]>(IMAGE)
            rows = Reshape(pooled, shape)
            {last or "output = Identity(rows)"}
        }}""")


def test_a_detector_that_the_user_brings_gets_the_slots_interface(tmp_path: Path) -> None:
    save(detector(), tmp_path / "brought.onnx")
    yolo_face.compose(tmp_path / "brought.onnx", tmp_path / "model.onnx")
    session = parity.open_session(tmp_path / "model.onnx")
    image = np.random.default_rng(0).integers(0, 256, (3, 640, 640, 3), np.uint8)
    image[:, :320] //= 3
    boxes, scores = session.run(["BOXES", "SCORES"], {"IMAGE": image})
    means = image.reshape(3, 16, 40, 8, 80, 3).mean((2, 4)) / 255
    rows = means.transpose(0, 3, 1, 2).reshape(3, 24, 16)
    corners = [rows[..., :2] - rows[..., 2:4] / 2, rows[..., :2] + rows[..., 2:4] / 2]
    np.testing.assert_allclose(boxes, np.concatenate(corners, 2), atol=1e-5)
    np.testing.assert_allclose(scores, rows[..., 4] * rows[..., 15], atol=1e-5)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (detector(batch=1), "fixed batch of 1.*--dynamic"),
        (detector(width=32), r"needed is float32 \[n, 3, 640, 640\] -> float32 \[n, anchors, 16\]"),
        (detector(inner_batch=1), "does not run on a batch of 3"),
        (detector(last="output = Div(rows, zero)"), "not numbers"),
    ],
)
def test_a_detector_that_does_not_fit_is_refused(
    model: ModelProto, message: str, tmp_path: Path
) -> None:
    save(model, tmp_path / "brought.onnx")
    with pytest.raises(CheckpointError, match=message):
        yolo_face.compose(tmp_path / "brought.onnx", tmp_path / "model.onnx")


def test_a_detector_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"PK not a graph")
    with pytest.raises(CheckpointError, match="cannot be read as an ONNX graph"):
        yolo_face.compose(tmp_path / "weights.pt", tmp_path / "model.onnx")
