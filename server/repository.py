"""Reads a model repository's configurations and checks its weights."""

import compileall
import json
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.errors import ModelLoadError, ProfilesMixedError, UsageError, WeightsMissingError
from server.slots.slot import STAMP, is_filled

CONFIG = "config.pbtxt"
VARIANTS = "configs"
"""Folder of a slot's other configurations; Triton's own name."""

MODEL_FILES = {"onnxruntime": "model.onnx", "pytorch": "model.pt"}
"""Backend -> its default name of the model file."""


def read_config(path: Path) -> ModelConfig:
    """Parses one config.pbtxt.

    Raises:
        ModelLoadError: it is not a Triton model configuration; names the file.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), ModelConfig())
    except text_format.ParseError as error:
        raise ModelLoadError(f"{path} is not a model configuration: {error}") from error


def read_configs(repository: Path, variant: str | None = None) -> dict[str, ModelConfig]:
    """Reads every slot's configuration of a variant, by name, in alphabetical order.

    Raises:
        ModelLoadError: one is not a Triton model configuration.
        UsageError: no slot has the variant.
    """
    if variant is not None and variant not in (known := variants(repository)):
        raise UsageError(
            f"no slot of {repository} has a variant {variant!r}; there are: "
            f"{', '.join(known) or 'none'}"
        )
    paths = sorted(repository.glob(f"*/{CONFIG}"))
    return {path.parent.name: read_config(config_path(path.parent, variant)) for path in paths}


def config_path(slot: Path, variant: str | None) -> Path:
    """The configuration that Triton takes with --model-config-name."""
    other = slot / VARIANTS / f"{variant}.pbtxt"
    return other if variant is not None and other.is_file() else slot / CONFIG


def variants(repository: Path) -> list[str]:
    """Names of the variants that at least one slot has."""
    return sorted({path.stem for path in repository.glob(f"*/{VARIANTS}/*.pbtxt")})


def is_optional(config: ModelConfig) -> bool:
    """Whether only some profiles fill the slot; where it is empty, it is not loaded."""
    # To read a key that is not there would add it.
    parameters = config.parameters
    return "optional" in parameters and parameters["optional"].string_value == "true"


def without_empty(repository: Path, configs: dict[str, ModelConfig]) -> dict[str, ModelConfig]:
    """The configurations without those of empty optional slots."""
    return {
        name: config
        for name, config in configs.items()
        if not is_optional(config) or is_filled(repository, name)
    }


def link_repository(repository: Path, configs: dict[str, ModelConfig], served: Path) -> None:
    """Makes the folder `served`: a repository of these slots, with these configurations.

    All other files are links to those of `repository`. The bytecode of its Python slots is written
    before they are loaded: Triton takes a slot into whose folder its first load writes for
    changed, and loads it again with the next ensemble that has it as a step.
    """
    compileall.compile_dir(repository, quiet=2)
    for name, config in configs.items():
        folder = served / name
        folder.mkdir(parents=True)
        for entry in (repository / name).iterdir():
            if entry.name not in (CONFIG, VARIANTS):
                (folder / entry.name).symlink_to(entry)
        text = text_format.MessageToString(config)
        (folder / CONFIG).write_text(text, encoding="utf-8")


def check_weights(repository: Path, configs: dict[str, ModelConfig]) -> None:
    """Checks that every slot has its model file, before Triton is started.

    Raises:
        WeightsMissingError: names the slots and how to fill them.
    """
    if not configs:
        raise WeightsMissingError(f"{repository} holds no model: no */{CONFIG} in it.")
    missing = {
        name: other_format(repository / name)
        for name, config in configs.items()
        if config.backend in MODEL_FILES and not any(_model_files(repository / name, config))
    }
    if not missing:
        return
    message = f"no weights yet for {', '.join(missing)} in {repository}. Run `make export`."
    if other := next(filter(None, missing.values()), None):
        serving = _variants_that_serve(repository, list(missing))
        how = " or ".join(serving) or "a variant that is not here"
        message += f" What is there is {other}: serve it with {how}, or export another FORMAT."
    raise WeightsMissingError(message)


def _model_files(slot: Path, config: ModelConfig) -> list[Path]:
    filename = config.default_model_filename or MODEL_FILES[config.backend]
    return list(slot.glob(f"*/{filename}"))


def _variants_that_serve(repository: Path, slots: list[str]) -> list[str]:
    """The launcher's options for which each of these slots has the model file it needs."""
    options = []
    for variant in (None, *variants(repository)):
        configs = read_configs(repository, variant)
        if all(_model_files(repository / slot, configs[slot]) for slot in slots):
            options.append(f"--variant {variant}" if variant else "no --variant")
    return options


def other_format(slot: Path) -> str | None:
    """Name of a model file of any format in the slot's folder."""
    found = [name for name in MODEL_FILES.values() if any(slot.glob(f"*/{name}"))]
    return found[0] if found else None


def check_profile(repository: Path, configs: dict[str, ModelConfig]) -> None:
    """Checks that the slots' weights belong together: a head is fitted to one profile's features.

    Raises:
        ProfilesMixedError: names the slots of each profile.
    """
    origins: dict[str, list[str]] = {}
    for name in configs:
        origins.setdefault(_origin(repository / name), []).append(name)
    origins.pop("", None)
    if len(origins) > 1:
        listed = "; ".join(f"{origin}: {', '.join(slots)}" for origin, slots in origins.items())
        raise ProfilesMixedError(
            f"the slots of {repository} are of different origin ({listed}). Run `make export` for "
            "one PROFILE and WEIGHTS, which fills all of them."
        )


def _origin(slot: Path) -> str:
    """The profile that export filled the slot from, and whether at random; "" if it did not."""
    try:
        stamp = json.loads((slot / STAMP).read_text(encoding="utf-8"))["stamp"]
        is_random = str(stamp["weights"]).startswith("random")
        return f"profile {stamp['profile']}{', random weights' if is_random else ''}"
    except (OSError, ValueError, KeyError):
        return ""
