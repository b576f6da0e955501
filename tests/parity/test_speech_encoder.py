"""Whisper's encoder in PyTorch and int8 against the same weights in CTranslate2."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from ctranslate2 import StorageView
from ctranslate2.models import Whisper
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from export import parity
from export.configuration import REPOSITORY
from export.errors import CheckpointError
from export.networks import ctranslate2_weights, whisper_encoder, whisper_random
from export.options import Precision
from tests.parity.sounds import speech

TOLERANCE = 1e-4
"""Largest difference, relative to the largest magnitude."""

pytestmark = pytest.mark.parity


def encoded(whisper: Whisper, mels: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.array(whisper.encode(StorageView.from_array(mels)))


def cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each place."""
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return (one * other).sum(-1) / lengths


@pytest.fixture(scope="module")
def random_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whisper")
    whisper_random.write(0, folder)
    return folder


@pytest.mark.parametrize("frames", [3000, 400])
def test_it_encodes_as_ctranslate2_does(frames: int, random_whisper: Path) -> None:
    mels = np.random.default_rng(0).normal(size=(2, 128, frames)).astype(np.float32)
    expected = encoded(Whisper(str(random_whisper), compute_type="float32"), mels)
    network = whisper_encoder.load(random_whisper / "model.bin")
    with torch.inference_mode():
        found = network(torch.from_numpy(mels)).numpy()
    assert found.shape == expected.shape == (2, frames // 2, 64)
    assert parity.largest_difference(found, expected) < TOLERANCE


def test_all_its_products_are_in_int8_and_attention_is_one_operator() -> None:
    path = REPOSITORY / "speech_encoder" / "1" / "model.onnx"
    if not path.is_file():
        pytest.skip(f"{path} is missing; `make export` brings it")
    model = onnx.load(path)
    operators = Counter(node.op_type for node in model.graph.node)
    assert (operators["MatMulNBits"], operators["MultiHeadAttention"]) == (4 * 6, 6)
    assert not operators.keys() & {"MatMul", "Gemm", "Softmax"}
    disabled = {entry.key: entry.value for entry in model.metadata_props}["disabled_optimizers"]
    assert disabled == "SkipLayerNormFusion", "as in parity.open_session"


def test_in_int8_it_is_nearer_to_float32_than_ctranslate2() -> None:
    model = REPOSITORY / "speech_encoder" / "1" / "model.onnx"
    whisper = REPOSITORY / "speech_recognizer" / "1" / "whisper"
    if not model.is_file() or not whisper.is_dir():
        pytest.skip(f"{model} or {whisper} is missing; `make export` brings both")
    mels = FeatureExtractor()(speech())[None, :, :3000].astype(np.float32)
    mels = np.pad(mels, ((0, 0), (0, 0), (0, 3000 - mels.shape[-1])))
    exact = encoded(Whisper(str(whisper), compute_type="float32"), mels)
    theirs = encoded(Whisper(str(whisper), compute_type="int8"), mels)
    session: onnxruntime.InferenceSession = parity.open_session(model, Precision.INT8)
    (ours,) = session.run(None, {"MELS": mels})
    assert cosines(ours, exact).mean() > 0.998
    assert cosines(ours, exact).mean() > cosines(theirs, exact).mean()


@pytest.mark.parametrize("change", ["cut off", "of another version", "of another network"])
def test_a_file_that_is_no_whisper_is_refused(
    change: str, random_whisper: Path, tmp_path: Path
) -> None:
    content = (random_whisper / "model.bin").read_bytes()
    path = tmp_path / "model.bin"
    changed = {
        "cut off": content[: len(content) // 2],
        "of another version": b"\x05" + content[1:],
        "of another network": content.replace(b"encoder/conv1", b"encoder/conv7"),
    }
    path.write_bytes(changed[change])
    with pytest.raises(CheckpointError, match=r"model\.bin"):
        whisper_encoder.load(path)


def test_every_variable_is_read(random_whisper: Path) -> None:
    found = ctranslate2_weights.read(random_whisper / "model.bin")
    assert found["decoder/embeddings/weight"].shape == (51_866, 64)
    assert found["encoder/num_heads"] == 2
    assert all(torch.isfinite(values.float()).all() for values in found.values())


def test_quantising_leaves_logging_as_it_is(tmp_path: Path) -> None:
    program = """
import logging, sys
from pathlib import Path
from onnx import TensorProto, helper, save
from export.precision import quantise_onnx_blocks
inputs = [helper.make_tensor_value_info("a", TensorProto.FLOAT, [1])]
graph = helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "graph", inputs, [])
path = Path(sys.argv[1])
save(helper.make_model(graph), path)
quantise_onnx_blocks(path, 128)
assert (logging.root.level, logging.root.handlers) == (logging.WARNING, [])
"""
    path = tmp_path / "model.onnx"
    subprocess.run([sys.executable, "-c", program, path], check=True, cwd=REPOSITORY.parent)
