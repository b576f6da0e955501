"""Our rebuilt expressions against face-api's own program, run once (face_api_reference.cjs)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from export.parity import largest_difference
from export.slots import face_expression
from export.weights import fetch_all
from tests.parity.face_api_inputs import pictures
from vemoclap_client.contract import EXPRESSIONS

TOLERANCE = 1e-5
PICTURES = ("portrait", "pattern")
REFERENCE = Path(__file__).with_name("face_api_reference.json")

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def reference() -> Any:
    return json.loads(REFERENCE.read_text(encoding="utf-8"))


def pixels_of(name: str) -> torch.Tensor:
    return torch.from_numpy(pictures()[name].copy()).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize("name", PICTURES)
def test_the_expressions_are_the_originals(reference: Any, name: str) -> None:
    network = face_expression.load(fetch_all(face_expression.ARTIFACTS))
    with torch.inference_mode():
        features, probabilities = network.classify(pixels_of(name))
    expected = reference[name]
    in_our_order = [expected["probabilities"][expected["order"].index(e)] for e in EXPRESSIONS]
    assert largest_difference(features[0].numpy(), np.array(expected["features"])) < TOLERANCE
    assert largest_difference(probabilities[0].numpy(), np.array(in_our_order)) < TOLERANCE


def test_the_last_layer_turns_features_into_the_probabilities() -> None:
    files = fetch_all(face_expression.ARTIFACTS)
    with torch.inference_mode():
        features, probabilities = face_expression.load(files).classify(pixels_of("portrait"))
    weight, bias = face_expression.last_layer(files)
    logits = features @ weight.T + bias
    torch.testing.assert_close(torch.softmax(logits, -1), probabilities)
