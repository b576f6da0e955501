"""Ekman-6's downloaded files in their structure, made small: what was felt is in the pictures."""

import json
from pathlib import Path

from tests.unit import upstream_files
from tests.unit.upstream_files import IDX_TO_LABEL

PER_CLASS = 8
SPLIT = {"trn": (0, 1, 2, 3), "val": (4, 5), "tst": (6, 7)}
"""Split -> numbers of the clips of each emotion."""
MISLABELLED = ("anger_6", "joy_0")


def make(folder: Path, with_validation: bool = True) -> Path:
    """Write features, splits and blacklist, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = upstream_files.document(PER_CLASS, tuple(IDX_TO_LABEL))
    for sample in content["samples"].values():
        emotion = int(sample["labels"].argmax())
        sample["features"]["clip"] *= 0.1
        sample["features"]["clip"][:, emotion] += 3
    upstream_files.write(folder / "features.pkl", content)
    parts = {
        part: [f"{emotion}_{number}" for emotion in IDX_TO_LABEL.values() for number in numbers]
        for part, numbers in SPLIT.items()
        if part != "val" or with_validation
    }
    (folder / "splits.json").write_text(json.dumps(parts))
    (folder / "ekman6_blacklist.txt").write_text("\n".join(MISLABELLED) + "\n")
    return folder
