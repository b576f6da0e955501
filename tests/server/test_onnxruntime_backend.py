"""The Python-based backend `onnxruntime` does what a stock Triton's does."""

import json
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tritonclient.utils import InferenceServerException

from tests.launching import Launched, launched

TYPES = {
    "FP32": (TensorProto.FLOAT, np.float32),
    "FP16": (TensorProto.FLOAT16, np.float16),
    "FP64": (TensorProto.DOUBLE, np.float64),
    "INT8": (TensorProto.INT8, np.int8),
    "INT32": (TensorProto.INT32, np.int32),
    "INT64": (TensorProto.INT64, np.int64),
    "UINT8": (TensorProto.UINT8, np.uint8),
    "BOOL": (TensorProto.BOOL, np.bool_),
    "STRING": (TensorProto.STRING, np.object_),
}

CONFIG = """
name: "{name}"
backend: "onnxruntime"
max_batch_size: {batch}
input [ {{ name: "IN" data_type: TYPE_{kind} dims: [ {dims} ] }} ]
output [ {{ name: "OUT" data_type: TYPE_{kind} dims: [ {dims} ] }} ]
instance_group [ {{ count: 1, kind: {device} }} ]
{extra}
"""


def write_model(
    repository: Path,
    name: str,
    operator: str = "Identity",
    kind: str = "FP32",
    batch: int = 8,
    dims: str = "2",
    device: str = "KIND_CPU",
    extra: str = "",
    filename: str = "model.onnx",
) -> None:
    """A slot of one operator, IN -> OUT."""
    element = TYPES[kind][0]
    sizes = (["n"] if batch else []) + [int(size) for size in dims.split(",")]
    graph = helper.make_graph(
        [helper.make_node(operator, ["IN"], ["OUT"])],
        name,
        [helper.make_tensor_value_info("IN", element, sizes)],
        [helper.make_tensor_value_info("OUT", element, sizes)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    folder = repository / name / "1"
    folder.mkdir(parents=True)
    onnx.save(model, folder / filename)
    config = CONFIG.format(name=name, kind=kind, batch=batch, dims=dims, device=device, extra=extra)
    (folder.parent / "config.pbtxt").write_text(config)


BATCHING = "dynamic_batching { max_queue_delay_microseconds: 300000 preferred_batch_size: [ 4 ] }"
THREADS = """
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
parameters { key: "inter_op_thread_count" value: { string_value: "1" } }
parameters { key: "execution_mode" value: { string_value: "1" } }
optimization { graph { level: 1 } }
default_model_filename: "other.onnx"
model_warmup [ {
  name: "one" batch_size: 1
  inputs { key: "IN" value { data_type: TYPE_FP32, dims: [ 2 ], zero_data: true } }
} ]
"""


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """A server of small models."""
    folder = tmp_path_factory.mktemp("backend")
    repository = folder / "models"
    for kind in TYPES:
        write_model(repository, f"identity_{kind.lower()}", kind=kind)
    write_model(repository, "unbatched", batch=0, dims="2,3")
    write_model(repository, "batching", "Neg", extra=BATCHING)
    write_lookup(repository)
    write_optional(repository)
    write_model(repository, "configured", "Abs", extra=THREADS, filename="other.onnx")
    with launched(folder, ["--model-repository", repository]) as server:
        yield server


def write_lookup(repository: Path) -> None:
    """A slot that looks up ten times its input, and fails at run time above 3."""
    write_model(repository, "lookup", kind="INT64", dims="1", extra=BATCHING)
    table = numpy_helper.from_array(np.array([0, 10, 20, 30]), "table")
    shape = ["n", 1]
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "IN"], ["OUT"])],
        "lookup",
        [helper.make_tensor_value_info("IN", TensorProto.INT64, shape)],
        [helper.make_tensor_value_info("OUT", TensorProto.INT64, shape)],
        [table],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, repository / "lookup" / "1" / "model.onnx")


def write_optional(repository: Path) -> None:
    """A slot whose second input has a default inside the graph and may be left out."""
    write_model(repository, "optional")
    zero = numpy_helper.from_array(np.zeros((1, 2), np.float32), "ADDED")
    shape = ["n", 2]
    names = ("IN", "ADDED")
    graph = helper.make_graph(
        [helper.make_node("Add", names, ["OUT"])],
        "optional",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names],
        [helper.make_tensor_value_info("OUT", TensorProto.FLOAT, shape)],
        [zero],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, repository / "optional" / "1" / "model.onnx")
    config = repository / "optional" / "config.pbtxt"
    added = '{ name: "ADDED" data_type: TYPE_FP32 dims: [ 2 ] optional: true }'
    config.write_text(config.read_text().replace("} ]\noutput", f"}}, {added} ]\noutput"))


def infer(server: Launched, model: str, array: NDArray[Any]) -> NDArray[Any]:
    """Sends one array and returns the answer."""
    answer: NDArray[Any] = server.infer(model, {"IN": array}).as_numpy("OUT")
    return answer


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_goes_in_and_comes_out(kind: str, backend: Launched) -> None:
    values = ["grün", "猫"] if kind == "STRING" else [1, 0]
    array = np.array([values], TYPES[kind][1])
    answer = infer(backend, f"identity_{kind.lower()}", array)
    if kind == "STRING":
        answer = np.array([[value.decode() for value in answer[0]]], object)
    assert answer.dtype == array.dtype
    np.testing.assert_array_equal(answer, array)


def test_a_model_without_a_batch_dimension_works(backend: Launched) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(infer(backend, "unbatched", array), array)


def test_requests_share_a_batch_and_each_gets_its_own_rows(backend: Launched) -> None:
    sent = [np.full((1, 2), value, np.float32) for value in range(1, 5)]
    answers = together(backend, "batching", sent)
    for array, answer in zip(sent, answers, strict=True):
        np.testing.assert_array_equal(answer, -array)
    counted = backend.statistics("batching")
    assert int(counted["inference_count"]) == 4
    assert int(counted["execution_count"]) < 4


def test_a_request_that_fails_does_not_fail_its_neighbours(backend: Launched) -> None:
    sent = [np.array([[index]], np.int64) for index in (1, 99, 3, 2)]
    answers = together(backend, "lookup", sent)
    assert isinstance(answers[1], InferenceServerException)
    assert "99" in str(answers[1])
    assert [answers[index] for index in (0, 2, 3)] == [10, 30, 20]
    # They were in one batch: else this would show nothing.
    assert int(backend.statistics("lookup")["execution_count"]) < 4


def test_an_error_is_counted_and_delayed_as_a_slot_s(backend: Launched) -> None:
    before, began = errors_of(backend, "lookup"), time.monotonic()
    with pytest.raises(InferenceServerException, match=r"InvalidArgument: .*99"):
        infer(backend, "lookup", np.array([[99]], np.int64))
    # It would block Triton 2.51 while other steps of an ensemble are being queued.
    assert time.monotonic() - began >= 0.25
    assert errors_of(backend, "lookup") == before + 1


def errors_of(server: Launched, model: str) -> float:
    """What Triton's metrics say."""
    url = f"http://127.0.0.1:{server.ready['metrics_port']}/metrics"
    with urllib.request.urlopen(url) as response:
        lines = response.read().decode().splitlines()
    (counted,) = [line for line in lines if f'vemoclap_slot_errors{{model="{model}"}}' in line]
    return float(counted.split()[-1])


def test_the_named_file_is_served_and_warmed_up(backend: Launched) -> None:
    array = np.array([[-1, 2]], np.float32)
    np.testing.assert_array_equal(infer(backend, "configured", array), [[1, 2]])
    url = f"{backend.http}/v2/models/configured/config"
    with urllib.request.urlopen(url) as response:
        config = json.load(response)
    assert config["default_model_filename"] == "other.onnx"
    assert len(config["model_warmup"]) == 1


def test_an_optional_input_may_be_left_out(backend: Launched) -> None:
    answer = infer(backend, "optional", np.array([[3, 4]], np.float32))
    np.testing.assert_array_equal(answer, [[3, 4]])


def together(
    server: Launched, model: str, arrays: list[NDArray[Any]]
) -> list[NDArray[Any] | InferenceServerException]:
    """Sends all arrays at the same time; answers and errors in their order."""

    def send(array: NDArray[Any]) -> NDArray[Any] | InferenceServerException:
        try:
            return infer(server, model, array)
        except InferenceServerException as error:
            return error

    with ThreadPoolExecutor(len(arrays)) as pool:
        return list(pool.map(send, arrays))
