"""The Python-based backend `pytorch` does what a stock Triton's does."""

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from server import errors
from tests.launching import FREE_PORTS, SERVER_PYTHON, Launched, launched, run

CONFIG = """
name: "{name}"
backend: "pytorch"
max_batch_size: 8
input [
  {{ name: "LEFT" data_type: TYPE_FP32 dims: [ -1 ] }},
  {{ name: "RIGHT" data_type: TYPE_INT64 dims: [ -1 ] }}
]
output [
  {{ name: "DIFFERENCE" data_type: TYPE_FP32 dims: [ -1 ] }},
  {{ name: "COUNT" data_type: TYPE_INT32 dims: [ 1 ] }}
]
instance_group [ {{ count: 1, kind: {device} }} ]
dynamic_batching {{ max_queue_delay_microseconds: 300000 preferred_batch_size: [ 4 ] }}
{extra}
"""
THREADS = """
parameters { key: "INTRA_OP_THREAD_COUNT" value: { string_value: "1" } }
parameters { key: "INTER_OP_THREAD_COUNT" value: { string_value: "1" } }
parameters { key: "DISABLE_OPTIMIZED_EXECUTION" value: { string_value: "true" } }
default_model_filename: "other.pt"
"""


class Subtraction(torch.nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        width = torch.full((left.shape[0], 1), left.shape[1], dtype=torch.int32)
        return left - right.to(left.dtype), width


def write_model(
    repository: Path,
    name: str,
    device: str = "KIND_CPU",
    extra: str = "",
    filename: str = "model.pt",
) -> None:
    folder = repository / name / "1"
    folder.mkdir(parents=True)
    with warnings.catch_warnings(action="ignore"):
        torch.jit.script(Subtraction()).save(folder / filename)
    (folder.parent / "config.pbtxt").write_text(
        CONFIG.format(name=name, device=device, extra=extra)
    )


@pytest.fixture(scope="module", autouse=True)
def torch_in_the_server() -> None:
    if not list(SERVER_PYTHON.parents[1].glob("lib/python*/site-packages/torch")):
        pytest.skip("the server has no torch: run `make setup-torchscript`")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    repository = tmp_path_factory.mktemp("pytorch")
    write_model(repository, "plain")
    write_model(repository, "tuned", extra=THREADS, filename="other.pt")
    with launched(tmp_path_factory.mktemp("ready"), ["--model-repository", repository]) as running:
        yield running


def subtract(
    server: Launched, left: NDArray[np.float32], right: NDArray[np.int64], model: str = "plain"
) -> triton.InferResult:
    return server.infer(model, {"LEFT": left, "RIGHT": right})


@pytest.mark.parametrize("model", ["plain", "tuned"])
def test_tensors_are_taken_in_the_configurations_order(server: Launched, model: str) -> None:
    left, right = np.array([[1.5, 2.5]], np.float32), np.array([[1, 4]], np.int64)
    answer = subtract(server, left, right, model)
    np.testing.assert_array_equal(answer.as_numpy("DIFFERENCE"), [[0.5, -1.5]])
    np.testing.assert_array_equal(answer.as_numpy("COUNT"), [[2]])
    assert answer.as_numpy("COUNT").dtype == np.int32


def test_requests_share_a_batch_and_get_their_own_answers(server: Launched) -> None:
    def ask(number: int) -> Any:
        left = np.full((1, 3), number, np.float32)
        answer = subtract(server, left, np.ones((1, 3), np.int64))
        return answer.as_numpy("DIFFERENCE").tolist()

    before = executions(server)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert answers == [[[number - 1.0] * 3] for number in range(4)]
    assert executions(server) - before < 4


def executions(server: Launched) -> int:
    return int(server.statistics("plain")["execution_count"])


def test_a_request_that_fails_says_why_and_harms_no_other(server: Launched) -> None:
    with pytest.raises(InferenceServerException, match="size of tensor"):
        subtract(server, np.ones((1, 2), np.float32), np.ones((1, 3), np.int64))
    answer = subtract(server, np.ones((1, 2), np.float32), np.ones((1, 2), np.int64))
    np.testing.assert_array_equal(answer.as_numpy("DIFFERENCE"), [[0, 0]])


def test_a_gpu_that_is_not_there_is_refused_with_a_reason(tmp_path: Path) -> None:
    write_model(tmp_path / "models", "on_gpu", device="KIND_GPU")
    finished = run("--model-repository", tmp_path / "models", *FREE_PORTS)
    assert finished.returncode == errors.ModelLoadError.exit_code
    assert "on_gpu: " in finished.stderr
    assert "GPU" in finished.stderr.split("on_gpu: ")[1]
