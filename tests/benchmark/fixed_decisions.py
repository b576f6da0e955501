"""A repository of random weights whose decisions are fixed, so that a clip costs what a clip costs.

A random face detector takes each whole frame for a face, and a random language identifier has every
text translated. Here both compute all that they compute, and then decide the same each time: one
face a frame (16 a clip) of the usual size, and English. Only the model files of this copy are
different.
"""

import shutil
from pathlib import Path

import numpy as np

from export import stamp
from server.slots.slot import STAMP, Tensors
from vemoclap_client.contract import ENGLISH
from vemoclap_client.files import link_or_copy

FACE_BOX_PX = (40.0, 40.0, 200.0, 200.0)
"""In pixels of the detector's image."""
MODEL = "1/model.onnx"


def is_random(repository: Path) -> bool:
    """Whether the repository's weights are random."""
    return stamp.weights(repository / "image_encoder").startswith("random")


def decide(repository: Path, slot: str, computed: Tensors) -> Tensors:
    """The outputs of a slot, with the fixed ones in place of those that random weights computed."""
    if not is_random(repository):
        return computed
    decided = {}
    for name, first in _decision(repository / slot).items():
        decided[name] = np.zeros_like(computed[name])
        decided[name][:, : len(first)] = first
    return {**computed, **decided}


def _decision(folder: Path) -> Tensors:
    """Output -> the first values of its rows; zeros follow, however many there are."""
    if folder.name == "face_detector":
        return {
            "BOXES": np.array([FACE_BOX_PX], np.float32),
            "SCORES": np.ones(1, np.float32),
        }
    if folder.name == "language_identifier":
        labels = (folder / "labels.txt").read_text(encoding="utf-8").split()
        return {"PROBABILITIES": np.array([label == ENGLISH for label in labels], np.float32)}
    return {}


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
    for name, first in decided.items():
        computed, nothing = f"{name}_COMPUTED", f"{name}_NOTHING"
        for node in model.graph.node:
            node.output[:] = [computed if one == name else one for one in node.output]
            node.input[:] = [computed if one == name else one for one in node.input]
        constants = {
            "ZERO": np.zeros(1, np.float32),
            "FIRST": first,
            "START": np.zeros(1, np.int64),
            "COUNT": np.array([len(first)]),
            "END": np.array([np.iinfo(np.int64).max]),
            "AXIS": np.ones(1, np.int64),
        }
        model.graph.initializer.extend(
            numpy_helper.from_array(value, f"{name}_{key}") for key, value in constants.items()
        )
        start, count, end, axis = (f"{name}_{key}" for key in ("START", "COUNT", "END", "AXIS"))
        model.graph.node.extend(
            [
                helper.make_node("Mul", [computed, f"{name}_ZERO"], [nothing]),
                helper.make_node("Slice", [nothing, start, count, axis], [f"{name}_HEAD"]),
                helper.make_node("Add", [f"{name}_HEAD", f"{name}_FIRST"], [f"{name}_DECIDED"]),
                helper.make_node("Slice", [nothing, count, end, axis], [f"{name}_REST"]),
                helper.make_node("Concat", [f"{name}_DECIDED", f"{name}_REST"], [name], axis=1),
            ]
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    onnx.save(model, unfinished)
    shutil.move(unfinished, target)
