"""The pictures on which face-api's own program and ours are compared.

`python -m tests.parity.face_api_inputs FOLDER` writes them as raw RGB for face_api_reference.cjs.
"""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.weights import fetch

Picture = npt.NDArray[np.uint8]

FACE_TOP_PX, FACE_LEFT_PX = 68, 166
CROP_PX = 112


def pattern(side_px: int) -> Picture:
    """Return waves of different directions in the three colours: uint8 [side, side, 3]."""
    rows, columns = np.mgrid[0:side_px, 0:side_px]
    waves = [rows * 3 + columns, rows - columns * 2, rows * columns // 32]
    return (np.stack(waves, axis=-1) % 256).astype(np.uint8)


def pictures() -> dict[str, Picture]:
    """Return name -> picture, 112 x 112."""
    import av

    with av.open(str(fetch("sample_portrait"))) as container:
        frame = next(container.decode(video=0))
    portrait = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    rows = slice(FACE_TOP_PX, FACE_TOP_PX + CROP_PX)
    columns = slice(FACE_LEFT_PX, FACE_LEFT_PX + CROP_PX)
    return {"portrait": portrait[rows, columns], "pattern": pattern(CROP_PX)}


if __name__ == "__main__":
    for name, picture in pictures().items():
        (Path(sys.argv[1]) / f"{name}.rgb").write_bytes(picture.tobytes())
