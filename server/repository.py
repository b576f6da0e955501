"""Reads a model repository's configurations and says what it lacks."""

from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.errors import ModelLoadError, WeightsMissingError


def read_config(path: Path) -> ModelConfig:
    """Parses one config.pbtxt.

    Raises:
        ModelLoadError: it is not a Triton model configuration; names the file.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), ModelConfig())
    except text_format.ParseError as error:
        raise ModelLoadError(f"{path} is not a model configuration: {error}") from error


def read_configs(repository: Path) -> dict[str, ModelConfig]:
    """Every slot's configuration by name, in alphabetical order."""
    paths = sorted(repository.glob("*/config.pbtxt"))
    return {path.parent.name: read_config(path) for path in paths}


def check_weights(repository: Path, configs: dict[str, ModelConfig]) -> None:
    """Fails early, and in one message, for every slot whose model file is not there.

    Raises:
        WeightsMissingError: names the slots and how to fill them.
    """
    if not configs:
        raise WeightsMissingError(f"{repository} holds no model: no */config.pbtxt in it.")
    missing = [
        name
        for name, config in configs.items()
        if config.backend == "onnxruntime"
        and not any((repository / name).glob(f"*/{config.default_model_filename or 'model.onnx'}"))
    ]
    if missing:
        raise WeightsMissingError(
            f"no weights yet for {', '.join(missing)} in {repository}. Run `make export`."
        )
