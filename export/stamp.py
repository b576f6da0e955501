"""Whether an earlier export is still good: what it was made from, written beside the model."""

import ast
import json
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from export.building import build_of
from export.configuration import CONFIG, REPOSITORY
from export.options import Checkpoint, Format, Options, Precision, Pretrained, Random
from export.spec import Builder, Slot
from export.weights.cache import identity
from export.weights.manifest import artifact
from server.slots.slot import STAMP as STAMP
from vemoclap_client.files import checksum

ROOTS = {"export": REPOSITORY.parent, "vemoclap_client": REPOSITORY.parent / "client"}
NOT_CONTENT = ("export.weights", "vemoclap_client.files")
"""How files are fetched and written, which changes nothing about what is in them."""
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


def stamp_of(slot: Slot, options: Options) -> Stamp:
    """Return everything that decides what the slot's export looks like.

    Raises:
        CheckpointError: the slot cannot be filled from these weights.
    """
    builder = build_of(slot, options).builder
    data = [*slot.data, REPOSITORY / slot.name / CONFIG]
    return {
        "profile": options.profile,
        "weights": options.weights.describe(),
        "companion_files": _companion_files(builder, options),
        "format": options.format if slot.network else None,
        "precision": options.precision if slot.network else None,
        "module": slot.module,
        "artifacts": {name: identity(artifact(name)) for name in builder.fetched},
        "sources": sources([slot.module, "export.building"], data),
        "texts": dict(slot.texts),
        "libraries": _versions() if slot.network or builder.write else {},
    }


def _companion_files(builder: Builder[Any], options: Options) -> dict[str, str]:
    """The checksums of the files beside the user's checkpoint that are there."""
    if not isinstance(options.weights, Checkpoint):
        return {}
    paths = [options.weights.path.with_name(name) for name in builder.companion_files]
    return {path.name: checksum(path) for path in paths if path.is_file()}


def _versions() -> dict[str, str | None]:
    return {name: _version(name) for name in LIBRARIES}


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def sources(modules: list[str], data: Iterable[Path] = ()) -> dict[str, str]:
    """Return the checksum of each file that an export's content depends on.

    Args:
        modules: dotted names; what they import of this project when they run counts too, but for
            NOT_CONTENT.
        data: further files.

    Returns:
        Module, or a data file's name -> sha256.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _path(name)
        if (
            path is None
            or name in found
            or name.startswith(("export.weights", "vemoclap_client.files"))
        ):
            continue
        found[name] = path
        waiting += _imports(path)
    paths = dict(sorted(found.items())) | {path.name: path for path in data}
    return {name: checksum(path) for name, path in paths.items()}


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


def options(folder: Path, default: Options | None = None) -> Options | None:
    """Return the choices of the earlier export into the folder, but for a checkpoint of it.

    Args:
        folder: the slot's.
        default: has the format and the precision of a slot without a network.
    """
    earlier = read(folder)
    if not earlier:
        return None
    default = default or Options()
    kind, _, seed = str(earlier["weights"]).partition(", seed ")
    return Options(
        earlier["profile"],
        Format(earlier.get("format") or default.format),
        Precision(earlier.get("precision") or default.precision),
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


def _path(module: str) -> Path | None:
    root = ROOTS.get(module.split(".")[0])
    if root is None:
        return None
    path = root.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    """The modules that a module imports when it runs, not those that only its types name."""
    for node in _run(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield inside if _path(inside) else node.module


def _run(parent: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, but for what is there for the type checker alone."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _run(node)
