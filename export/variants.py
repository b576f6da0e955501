"""The slots' configurations for other machines and formats, derived from config.pbtxt.

Every export, and `python -m export configs`, writes them to `<slot>/configs/<variant>.pbtxt`, where
Triton finds them with `--model-config-name=<variant>`. They are not committed.

Source: the names of the parameters and accelerators are those of triton-inference-server's
onnxruntime_backend and pytorch_backend.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from server.repository import CONFIG, VARIANTS, read_config
from vemoclap_client.files import write_text

if TYPE_CHECKING:
    from tritonclient.grpc.model_config_pb2 import ModelConfig

OWN_NETWORKS = ("speech_recognizer", "translator")
"""Python slots that bring a network of their own."""

AS_THEY_COME = ("text_detector", "text_recognizer")
"""Networks that come as ONNX files, and so have no TorchScript."""

ON_THE_PROCESSOR = ("fusion", "speech_encoder")
"""The head is too small for a GPU to pay, and with a text among its outputs, which TorchScript has
not. What encodes speech on a processor is not called where `speech_recognizer` is on a GPU."""

FIXED_SHAPES = (
    "image_encoder",
    "audio_encoder",
    "face_expression",
    "caption_decoder",
)
"""TensorRT builds an engine for each shape: these differ in their batch alone."""

CUDA_OPTIONS = {
    # Memory must not grow in powers of two.
    "arena_extend_strategy": "kSameAsRequested",
    # float32 is float32: who wants speed for accuracy exports in float16.
    "use_tf32": "0",
    # By default every kernel is tried for each new shape, and each size of a batch is one. PaddleX
    # measured 634 ms a shape, and 1.9 ms so (PaddlePaddle/PaddleX#5057); here it is not measured.
    "cudnn_conv_algo_search": "HEURISTIC",
}

ARENA_STRATEGY = "1"
"""kSameAsRequested once more: without this parameter, the native backend puts its default over the
accelerator's option."""

WORKSPACE_BYTES = str(1 << 30)
"""What TensorRT may use while it chooses kernels."""

GPU_QUEUE_DELAY_US = 5000
"""A GPU answers a batch in little more time than one item: waiting for company pays longer."""

HEADER = "# Made from ../config.pbtxt by export. Do not edit.\n"


def _gpu(config: ModelConfig) -> None:
    """ONNX on a GPU through CUDA; the Python slots' own networks there too."""
    _on_gpu(config)
    if config.name not in OWN_NETWORKS:
        _accelerate_with_cuda(config)


def _tensorrt(config: ModelConfig) -> None:
    """As `gpu`; networks of one shape through TensorRT in float16."""
    _on_gpu(config)
    if config.name in FIXED_SHAPES:
        _accelerate(
            config, "tensorrt", precision_mode="FP16", max_workspace_size_bytes=WORKSPACE_BYTES
        )
        _warm_up_largest_batch(config)
    elif config.name not in OWN_NETWORKS:
        _accelerate_with_cuda(config)


def _torchscript(config: ModelConfig) -> None:
    """TorchScript on the processor."""
    config.instance_group[0].kind = _kind("KIND_CPU")
    if config.name not in AS_THEY_COME:
        config.backend = "pytorch"
        config.parameters.pop("intra_op_thread_count", None)


def _torchscript_gpu(config: ModelConfig) -> None:
    """TorchScript on a GPU; the Python slots' own networks there too."""
    _on_gpu(config)
    if config.name in AS_THEY_COME:
        _accelerate_with_cuda(config)
    elif config.name not in OWN_NETWORKS:
        config.backend = "pytorch"


VARIANTS_OF: dict[str, tuple[Callable[[ModelConfig], None], bool]] = {
    "gpu": (_gpu, True),
    "tensorrt": (_tensorrt, True),
    "torchscript": (_torchscript, False),
    "torchscript-gpu": (_torchscript_gpu, True),
}
"""Variant -> what it changes, and whether it moves the Python slots' own networks."""


def derive(folder: Path) -> dict[Path, str]:
    """Return a slot's variants: path -> content; none for a slot that no variant changes."""
    files = {}
    for variant, (change, moves_python_slots) in VARIANTS_OF.items():
        config = read_config(folder / CONFIG)
        if _is_neural(config) or (moves_python_slots and config.name in OWN_NETWORKS):
            change(config)
            files[folder / VARIANTS / f"{variant}.pbtxt"] = _text(config)
    return files


def write(folder: Path) -> list[Path]:
    """Write a slot's variants where they are not yet so; return their paths.

    Raises:
        OutputError: the folder cannot be written.
    """
    derived = derive(folder)
    for path, text in derived.items():
        # One that is written again, a Triton that polls would load again.
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
    return list(derived)


def _is_neural(config: ModelConfig) -> bool:
    return bool(config.backend == "onnxruntime" and config.name not in ON_THE_PROCESSOR)


def _on_gpu(config: ModelConfig) -> None:
    for name in ("intra_op_thread_count", "items_at_once"):
        config.parameters.pop(name, None)
    config.instance_group[0].kind = _kind("KIND_GPU")
    config.dynamic_batching.max_queue_delay_microseconds = GPU_QUEUE_DELAY_US


def _accelerate_with_cuda(config: ModelConfig) -> None:
    _accelerate(config, "cuda", **CUDA_OPTIONS)
    config.parameters["arena_extend_strategy"].string_value = ARENA_STRATEGY


def _warm_up_largest_batch(config: ModelConfig) -> None:
    """Has the engine built for every batch while the model loads, not while clips wait."""
    largest = config.model_warmup.add()
    largest.CopyFrom(config.model_warmup[0])
    largest.name = f"batch_{config.max_batch_size}"
    largest.batch_size = config.max_batch_size


def _accelerate(config: ModelConfig, name: str, **parameters: str) -> None:
    accelerators = config.optimization.execution_accelerators.gpu_execution_accelerator
    accelerators.add(name=name, parameters=parameters)


def _kind(name: str) -> int:
    from tritonclient.grpc.model_config_pb2 import ModelInstanceGroup

    return int(ModelInstanceGroup.Kind.Value(name))


def _text(config: ModelConfig) -> str:
    from google.protobuf import text_format

    return HEADER + text_format.MessageToString(config)
