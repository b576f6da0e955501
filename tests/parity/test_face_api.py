"""Our rebuilt networks against face-api's own program, run once (face_api_reference.cjs)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from export.parity import largest_difference
from export.slots import face_detector, face_expression
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
def test_the_detector_answers_as_the_original(reference: Any, name: str) -> None:
    network = face_detector.load(fetch_all(face_detector.PRETRAINED.artifacts))
    with torch.inference_mode():
        boxes, scores = network.detect(pixels_of(f"{name}_512"))
    expected = reference["detector"][name]
    anchors = expected["anchors"]
    found_boxes = boxes[0, anchors][:, [1, 0, 3, 2]].numpy()
    assert largest_difference(found_boxes, np.array(expected["boxes_y0_x0_y1_x1"])) < TOLERANCE
    assert largest_difference(scores[0, anchors].numpy(), np.array(expected["scores"])) < TOLERANCE


def test_the_detector_finds_the_portraits_face(reference: Any) -> None:
    expected = reference["detector"]["portrait"]
    network = face_detector.load(fetch_all(face_detector.PRETRAINED.artifacts))
    with torch.inference_mode():
        _, scores = network.detect(pixels_of("portrait_512"))
    assert scores.max() > 0.9
    assert int(scores.argmax()) == expected["anchors"][0]


@pytest.mark.parametrize("name", PICTURES)
def test_the_expressions_are_the_originals(reference: Any, name: str) -> None:
    network = face_expression.load(fetch_all(face_expression.ARTIFACTS))
    with torch.inference_mode():
        features, probabilities = network.classify(pixels_of(f"{name}_112"))
    expected = reference["expression"][name]
    in_our_order = [expected["probabilities"][expected["order"].index(e)] for e in EXPRESSIONS]
    assert largest_difference(features[0].numpy(), np.array(expected["features"])) < TOLERANCE
    assert largest_difference(probabilities[0].numpy(), np.array(in_our_order)) < TOLERANCE


def test_the_last_layer_turns_features_into_the_probabilities() -> None:
    files = fetch_all(face_expression.ARTIFACTS)
    with torch.inference_mode():
        features, probabilities = face_expression.load(files).classify(pixels_of("portrait_112"))
    weight, bias = face_expression.last_layer(files)
    logits = features @ weight.T + bias
    torch.testing.assert_close(torch.softmax(logits, -1), probabilities)
