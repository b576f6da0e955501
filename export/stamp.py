"""Whether an earlier export is still good: what it was made from, written beside the model."""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from export.options import Checkpoint, Format, Options, Precision, Pretrained, Random
from export.spec import Slot
from export.weights.cache import checksum, identity
from export.weights.manifest import artifact
from server.slots.slot import STAMP as STAMP

PROJECT = Path(__file__).parents[1]
ROOTS = {"export": PROJECT, "vemoclap_client": PROJECT / "client"}
LIBRARIES = (
    "ctranslate2",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "open_clip_torch",
    "speechbrain",
    "torch",
    "transformers",
)

Stamp = dict[str, object]


def stamp_of(slot: Slot, options: Options, configuration: Path) -> Stamp:
    """Return everything that decides what the slot's export looks like."""
    names = sorted({*slot.artifacts, *slot.files.values()})
    data = [*slot.data, configuration]
    return {
        "profile": options.profile,
        "weights": options.weights.describe(),
        "beside": _beside(slot, options),
        "format": options.format if slot.network else None,
        "precision": options.precision if slot.network else None,
        "module": slot.module,
        "artifacts": {name: identity(artifact(name)) for name in names},
        "sources": sources_checksum([slot.module, "export.exporting"], data),
        "texts": dict(slot.texts),
        "libraries": _versions() if slot.network or slot.make or slot.make_random else {},
    }


def _beside(slot: Slot, options: Options) -> dict[str, str]:
    """The checksums of the files beside the user's checkpoint that are there."""
    if not isinstance(options.weights, Checkpoint):
        return {}
    paths = [options.weights.path.with_name(name) for name in slot.beside]
    return {path.name: checksum(path) for path in paths if path.is_file()}


def _versions() -> dict[str, str | None]:
    return {name: _version(name) for name in LIBRARIES}


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def sources_checksum(modules: list[str], data: Iterable[Path] = ()) -> str:
    """Return one sha256 over the modules, all they import of this project, and the data files."""
    return _checksum([*_sources(modules), *data])


def is_current(folder: Path, stamp: Stamp) -> bool:
    """Whether the slot's folder holds, unharmed, what an export with this stamp has put there."""
    try:
        earlier = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return bool(earlier["stamp"] == stamp) and all(
            (folder / path).stat().st_size == size for path, size in earlier["sizes"].items()
        )
    except (OSError, ValueError, KeyError):
        return False


def figures(folder: Path) -> dict[str, float]:
    """Return the parity figures that an earlier export has left."""
    earlier = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    return dict(earlier["figures"])


def read(folder: Path) -> dict[str, Any]:
    """Return the stamp that an earlier export has left in the folder; empty without one."""
    try:
        return dict(json.loads((folder / STAMP).read_text(encoding="utf-8"))["stamp"])
    except (OSError, ValueError, KeyError):
        return {}


def weights(folder: Path) -> str:
    """Return what weights an earlier export has put there, in a word; "" without one."""
    return str(read(folder).get("weights", ""))


def options(folder: Path) -> Options | None:
    """Return the choices of the earlier export into the folder, but for a checkpoint of it."""
    earlier = read(folder)
    if not earlier:
        return None
    kind, _, seed = str(earlier["weights"]).partition(", seed ")
    return Options(
        earlier["profile"],
        Format(earlier["format"]),
        Precision(earlier["precision"]),
        Random(int(seed)) if kind == "random" else Pretrained(),
    )


def paths(folder: Path) -> set[str]:
    """Return the files that an earlier export has put into the folder, but for its stamp."""
    try:
        return set(json.loads((folder / STAMP).read_text(encoding="utf-8"))["sizes"])
    except (OSError, ValueError, KeyError):
        return set()


def describe(folder: Path, stamp: Stamp, paths: Iterable[str], figures: dict[str, float]) -> str:
    """Return the stamp's file's content for the files at `paths` of the folder."""
    sizes = {path: (folder / path).stat().st_size for path in sorted(paths)}
    document = {"stamp": stamp, "sizes": sizes, "figures": figures}
    return json.dumps(document, indent=1) + "\n"


def _sources(modules: list[str]) -> list[Path]:
    """Return the files of these modules and of all they import of this project, sorted.

    Not the weights package: how a file was fetched changes nothing about it.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _path(name)
        if path is None or name in found or name.startswith("export.weights"):
            continue
        found[name] = path
        waiting += _imports(path)
    return [found[name] for name in sorted(found)]


def _path(module: str) -> Path | None:
    root = ROOTS.get(module.split(".")[0])
    if root is None:
        return None
    path = root.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _checksum(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()
