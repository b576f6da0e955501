"""What docs/researchers.md says, done: face tracks of moving faces, its commands, its notebook."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas
import pytest
from av import VideoFrame
from PIL import Image, ImageOps

from tests.clips import write_clip
from tests.launching import PROJECT, Launched
from vemoclap_client import EmotionClient, Timeline
from vemoclap_client.formats.label_studio import LABELING_CONFIG
from vemoclap_client.media.video import decode

DOCUMENT = (PROJECT / "docs" / "researchers.md").read_text(encoding="utf-8")
NOTEBOOK = PROJECT / "docs" / "notebooks" / "emotions_of_a_folder.ipynb"
SIZE = (640, 360)
FPS = 8
SHOT_S = 3

Place = tuple[float, float]


def face_picture(samples: Path) -> Image.Image:
    """The face of the portrait with some of what is around it."""
    frame = Image.fromarray(decode(samples / "portrait.mp4").frames[0])
    return frame.crop((240, 20, 420, 240)).resize((147, 180))


def shot(
    faces: Sequence[Image.Image], paths: Sequence[tuple[Place, Place]], colour: tuple[int, ...]
) -> Iterator[VideoFrame]:
    """Faces whose upper left corners move evenly between two places, in pixels."""
    count = SHOT_S * FPS
    for number in range(count):
        canvas = Image.new("RGB", SIZE, colour)
        for face, (start, end) in zip(faces, paths, strict=True):
            share = number / (count - 1)
            place = np.array(start) + share * (np.array(end) - np.array(start))
            canvas.paste(face, (round(place[0]), round(place[1])))
        yield VideoFrame.from_image(canvas)


@pytest.fixture(scope="module")
def clips(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a card, and with two faces that move, then a cut to one of them alone.

    That one is called portrait.mp4, as the notebook wants it; without sound, it costs little.
    """
    folder = tmp_path_factory.mktemp("clips")
    (folder / "title_card.mp4").symlink_to(samples / "title_card.mp4")
    one = face_picture(samples)
    faces = [one, ImageOps.mirror(one)]
    frames = [
        *shot(faces, [((20, 10), (250, 160)), ((470, 160), (420, 10))], (90, 110, 90)),
        *shot(faces[:1], [((250, 160), (20, 100))], (40, 40, 150)),
    ]
    file = folder / "portrait.mp4"
    write_clip(file, seconds=2 * SHOT_S, fps=FPS, size=SIZE, frames=frames)
    return folder


@pytest.fixture(scope="module")
def moving(client: EmotionClient, clips: Path) -> Timeline:
    """The faces that move, as one window."""
    return client.timeline(clips / "portrait.mp4", 6, 6)


def test_faces_that_move_keep_their_numbers_until_the_cut(moving: Timeline) -> None:
    times_s = moving.windows[0].frame_times_s
    found = {
        time_s: {face.track for face in moving.faces if face.time_s == time_s} for time_s in times_s
    }
    assert [found[time_s] for time_s in times_s] == [{1, 2}] * 8 + [{3}] * 8


def test_a_track_is_where_its_face_is(moving: Timeline) -> None:
    middles = {
        track: [(f.box[0] + f.box[2]) / 2 for f in moving.faces if f.track == track]
        for track in (1, 2, 3)
    }
    # Numbers are given from the most certain face on: which of the two is 1 does not matter.
    first, second = sorted((middles[1], middles[2]), key=lambda places: places[0])
    assert all(np.diff(first) > 0)
    assert all(np.diff(second) < 0)
    assert all(np.diff(middles[3]) < 0)


def commands() -> list[list[str]]:
    """The commands of the document's sh blocks, but those that install."""
    text = "\n".join(re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL))
    lines = [line.partition(" #")[0].split() for line in text.splitlines()]
    return [words[1:] for words in lines if words and words[0] == "vemoclap"]


def environment(server: Launched, home: Path) -> dict[str, str]:
    """For programs that import the client of this checkout, and write into `home` alone."""
    return {
        **os.environ,
        "PYTHONPATH": str(PROJECT / "client"),
        "VEMOCLAP_URL": server.url,
        **{name: str(home) for name in ("HOME", "IPYTHONDIR", "JUPYTER_DATA_DIR", "OUT")},
    }


def test_the_commands_write_what_the_document_says(
    server: Launched, samples: Path, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").symlink_to(samples / "portrait.mp4")
    named = set()
    for words in commands():
        finished = subprocess.run(
            [sys.executable, "-m", "vemoclap_client.cli.main", *words],
            env=environment(server, tmp_path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert finished.returncode == 0, finished.stderr
        named |= {word for word in words if re.fullmatch(r"[a-z]+\.[A-Za-z]+", word)}
    assert {path.name for path in tmp_path.iterdir()} >= named
    faces = pandas.read_csv(tmp_path / "faces.csv")
    assert set(faces.track) == {1}
    assert set(faces.expression) == {"happy"}
    assert len(pandas.read_csv(tmp_path / "dense.csv")) == 120
    assert len(pandas.read_parquet(tmp_path / "dense.parquet")) == 120
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    assert task["data"]["video"] == "http://localhost:8000/clip.mp4"
    timeline = json.loads((tmp_path / "clip.json").read_text())
    said = " ".join(utterance["text"] for utterance in timeline["utterances"]).lower()
    assert "best of times" in said
    assert {utterance["emotion"] for utterance in timeline["utterances"]} == {"joy"}
    assert [shown["lines"] for shown in timeline["screen_texts"]] == [["It was the best of times"]]


def test_the_labeling_interface_is_the_one_that_the_export_names() -> None:
    (shown,) = re.findall(r"```xml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert shown == LABELING_CONFIG


def test_the_notebook_runs(server: Launched, clips: Path, tmp_path: Path) -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    assert not [cell for cell in notebook["cells"] if cell.get("outputs")], "clear its outputs"
    finished = subprocess.run(
        [
            *(
                Path(sys.executable).with_name("jupyter-execute"),
                "--output",
                tmp_path / "done.ipynb",
            ),
            NOTEBOOK,
        ],
        env={**environment(server, tmp_path), "CLIPS": str(clips)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    done = json.loads((tmp_path / "done.ipynb").read_text())
    outputs = [output for cell in done["cells"] for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    table = pandas.read_csv(tmp_path / "clips.csv").set_index("clip")
    assert table.emotion.to_dict() == {"portrait.mp4": "joy", "title_card.mp4": "sadness"}
    assert len(pandas.read_parquet(tmp_path / "dense.parquet")) == 30
    assert set(pandas.read_csv(tmp_path / "faces.csv").track) == {1, 2, 3}
