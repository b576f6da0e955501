"""A repository of random weights whose decisions are fixed, so that a clip costs what a clip costs.

A random face detector "finds" as many faces as it is allowed to, and a random language identifier
has every text translated. Here both compute all that they compute, and then decide the same each
time: one face a frame (16 a clip), and English. Only the model files of this copy are different.
"""

import shutil
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export import stamp
from export.registry import PROFILES
from server.slots.slot import STAMP, Tensors
from vemoclap_client.contract import ENGLISH
from vemoclap_client.files import link_or_copy

FACE_BOX_PX = (40.0, 40.0, 200.0, 200.0)
"""In pixels of the detector's image."""
MODEL = "1/model.onnx"


def is_random(repository: Path) -> bool:
    """Whether the repository's weights are random."""
    return stamp.weights(repository / "image_encoder").startswith("random")


def fixed_outputs(repository: Path, slot: str, rows: int) -> Tensors:
    """The outputs that a slot of random weights has whatever it computes, for so many rows."""
    if not is_random(repository):
        return {}
    decided = _decision(repository / slot)
    return {name: np.repeat(row[None], rows, axis=0) for name, row in decided.items()}


@cache
def _decision(folder: Path) -> Tensors:
    """Output -> its row."""
    if folder.name == "face_detector":
        return face_decision(_row_shapes(folder))
    if folder.name == "language_identifier":
        labels = (folder / "labels.txt").read_text(encoding="utf-8").split()
        return {"PROBABILITIES": np.array([label == ENGLISH for label in labels], np.float32)}
    return {}


def _row_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Output -> the shape of its rows, which no declaration need know: on an example."""
    import onnxruntime as ort

    declared = PROFILES[str(stamp.read(folder)["profile"])][folder.name].network
    assert declared is not None
    session = ort.InferenceSession(folder / MODEL, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, declared.examples(1, 0))
    return {name: array.shape[1:] for name, array in zip(names, found, strict=True)}


def face_decision(shapes: dict[str, tuple[int, ...]]) -> Tensors:
    """BOXES and SCORES of one certain face, the first candidate; `shapes`: of their rows."""
    decided: dict[str, NDArray[np.float32]] = {
        name: np.zeros(shapes[name], np.float32) for name in ("BOXES", "SCORES")
    }
    decided["BOXES"][0] = FACE_BOX_PX
    decided["SCORES"][0] = 1
    return decided


def fixed_copy(repository: Path, copy: Path) -> Path:
    """Makes or refreshes the copy: hard links, but for the networks that decide."""
    folders = sorted(path for path in repository.iterdir() if path.is_dir())
    for folder in folders:
        target = copy / folder.name
        decided = _decision(folder)
        is_made = _is_made(folder, target)
        # An ensemble's is empty, and Triton wants it.
        (target / "1").mkdir(parents=True, exist_ok=True)
        for source in sorted(path for path in folder.rglob("*") if path.is_file()):
            path = target / source.relative_to(folder)
            if not decided or path != target / MODEL:
                path.unlink(missing_ok=True)
                link_or_copy(source, path)
            elif not is_made:
                fix(source, path, decided)
    return copy


def _is_made(folder: Path, copy: Path) -> bool:
    """Whether the copy is of what the folder holds now; its stamp is a link to the folder's."""
    stamps = folder / STAMP, copy / STAMP
    return (copy / MODEL).is_file() and stamps[1].is_file() and stamps[0].samefile(stamps[1])


def fix(source: Path, target: Path, decided: Tensors) -> None:
    """Writes the model with outputs of `decided` in place of those that it still computes."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(source)
    for name, row in decided.items():
        for node in model.graph.node:
            node.output[:] = [f"{name}_COMPUTED" if one == name else one for one in node.output]
            node.input[:] = [f"{name}_COMPUTED" if one == name else one for one in node.input]
        constants = {"ZERO": np.zeros(1, np.float32), "DECIDED": row}
        model.graph.initializer.extend(
            numpy_helper.from_array(value, f"{name}_{key}") for key, value in constants.items()
        )
        model.graph.node.extend(
            [
                helper.make_node("Mul", [f"{name}_COMPUTED", f"{name}_ZERO"], [f"{name}_NOTHING"]),
                helper.make_node("Add", [f"{name}_NOTHING", f"{name}_DECIDED"], [name]),
            ]
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    onnx.save(model, unfinished)
    shutil.move(unfinished, target)
