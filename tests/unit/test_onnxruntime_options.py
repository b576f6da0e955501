"""What the Python-based `onnxruntime` backend makes of a model configuration."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from server.installation import PYTHON_BASED_BACKENDS


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The backend's module, which outside Triton lacks Triton's own."""
    monkeypatch.setitem(
        sys.modules, "triton_python_backend_utils", ModuleType("triton_python_backend_utils")
    )
    for name in ("server.backends.batching", "server.slot_errors"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    path = PYTHON_BASED_BACKENDS / "onnxruntime" / "model.py"
    spec = importlib.util.spec_from_file_location("onnxruntime_backend", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parameters(**values: str) -> dict[str, Any]:
    return {"parameters": {name: {"string_value": value} for name, value in values.items()}}


def test_by_default_all_cores_work_in_sequence_with_every_optimisation(backend: Any) -> None:
    options = backend.session_options({})
    assert options.intra_op_num_threads == 0
    assert options.execution_mode == ort.ExecutionMode.ORT_SEQUENTIAL
    assert options.graph_optimization_level == ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_parameters_are_read_by_the_native_backends_names(backend: Any) -> None:
    config = parameters(
        intra_op_thread_count="3",
        inter_op_thread_count="2",
        execution_mode="1",
        enable_mem_arena="0",
        enable_mem_pattern="0",
    )
    options = backend.session_options(config)
    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 2
    assert options.execution_mode == ort.ExecutionMode.ORT_PARALLEL
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (-1, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC),
        (1, ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED),
        (2, ort.GraphOptimizationLevel.ORT_DISABLE_ALL),
    ],
)
def test_graph_levels_are_the_native_backends(backend: Any, level: int, expected: object) -> None:
    options = backend.session_options({"optimization": {"graph": {"level": level}}})
    assert options.graph_optimization_level == expected


CPU = {"model_instance_kind": "CPU", "model_name": "slot"}
GPU = {"model_instance_kind": "GPU", "model_instance_device_id": "2", "model_name": "slot"}
CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"


def accelerated(name: str, **parameters: str) -> dict[str, Any]:
    """As Triton hands it over."""
    group = [{"name": name, "parameters": parameters}]
    accelerators = {"gpu_execution_accelerator": group}
    return {"name": "slot", "optimization": {"execution_accelerators": accelerators}}


def test_the_processor_is_used_where_the_instance_group_says_so(backend: Any) -> None:
    assert backend.providers(CPU, accelerated("cuda")) == ["CPUExecutionProvider"]


def test_a_gpu_without_a_gpu_build_is_refused_with_the_package_that_brings_it(backend: Any) -> None:
    with pytest.raises(RuntimeError, match=r"no CUDAExecutionProvider; install onnxruntime-gpu"):
        backend.providers(GPU, {})


def test_a_gpu_is_used_by_its_number(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA])
    assert backend.providers(GPU, {}) == [(CUDA, {"device_id": "2"}), "CPUExecutionProvider"]
    config = accelerated("cuda", arena_extend_strategy="kSameAsRequested")
    expected = {"device_id": "2", "arena_extend_strategy": "kSameAsRequested"}
    assert backend.providers(GPU, config)[0] == (CUDA, expected)


def test_tensorrt_comes_first_with_its_options(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = accelerated("tensorrt", precision_mode="FP16", max_workspace_size_bytes="64")
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA])
    with pytest.raises(RuntimeError, match=r"slot: .* no TensorrtExecutionProvider"):
        backend.providers(GPU, config)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, TENSORRT])
    options = {"device_id": "2", "trt_max_workspace_size": "64", "trt_fp16_enable": "1"}
    assert backend.providers(GPU, config) == [
        (TENSORRT, options),
        (CUDA, {"device_id": "2"}),
        "CPUExecutionProvider",
    ]


def test_an_accelerator_that_only_the_native_backend_has_is_refused(backend: Any) -> None:
    with pytest.raises(RuntimeError, match="slot: execution accelerator openvino"):
        backend.providers(CPU, accelerated("openvino"))


@pytest.mark.parametrize(
    "passes", [[], ["NchwcTransformer"], ["NchwcTransformer", "ConstantFolding"]]
)
def test_passes_that_the_models_metadata_names_are_left_out(
    backend: Any, tmp_path: Path, passes: list[str]
) -> None:
    """export writes the first into graphs of float16, on which it crashes."""
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "identity", [value], [value])
    model = onnx.helper.make_model(graph, doc_string="a" * 300)
    model.metadata_props.add(key="other", value="NchwcTransformer")
    if passes:
        model.metadata_props.add(key="disabled_optimizers", value=",".join(passes))
    onnx.save(model, tmp_path / "model.onnx")
    assert backend.disabled_optimizers(tmp_path / "model.onnx") == passes


@pytest.mark.parametrize(("at_once", "sizes"), [(0, [5]), (1, [1] * 5), (2, [2, 2, 1]), (8, [5])])
def test_a_batch_is_divided_into_parts_of_so_many_items(
    backend: Any, at_once: int, sizes: list[int]
) -> None:
    parts = backend._parts({"IN": np.arange(5), "OTHER": np.arange(10).reshape(5, 2)}, at_once)
    assert [len(part["IN"]) for part in parts] == sizes
    for name, width in (("IN", 1), ("OTHER", 2)):
        joined = np.concatenate([part[name] for part in parts])
        assert joined.ravel().tolist() == list(range(5 * width))
