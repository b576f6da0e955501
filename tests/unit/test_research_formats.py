"""A timeline for ELAN, Praat, Label Studio and data frames, read back by others' programs."""

import csv
import io
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from pympi.Elan import Eaf
from pympi.Praat import TextGrid

from tests.timelines import EVEN, make_face, make_full_timeline, make_timeline, make_window
from vemoclap_client.contract import EMOTIONS, EXPRESSIONS
from vemoclap_client.formats.elan import format_eaf
from vemoclap_client.formats.label_studio import FRAME_RATE, LABELING_CONFIG, format_label_studio
from vemoclap_client.formats.praat import format_textgrid
from vemoclap_client.formats.table import faces_table, table_csv, utterances_table, windows_table
from vemoclap_client.formats.tiers import make_tiers
from vemoclap_client.formats.writing import FORMATS
from vemoclap_client.timeline import Timeline

FULL = make_full_timeline()
BARE = make_timeline([make_window(0.0, 8.0, EVEN)], 4.0)
"""Nothing speaks for any emotion, nobody is seen, nothing is said or written."""

SAID = 'I am "glad" & <sure>'

TIERS = {
    "emotion": [(0, 6_000, "joy"), (6_000, 12_000, "fear")],
    "probability": [(0, 6_000, "0.80"), (6_000, 12_000, "0.50")],
    # The second utterance began before the first one ended.
    "utterance": [(250, 2_000, SAID), (2_000, 3_000, "=1+1")],
    "utterance emotion": [(250, 2_000, "joy"), (2_000, 3_000, "joy")],
    "screen text": [(500, 1_500, "THE END / of the film")],
    "face 1": [(0, 1_500, "1"), (9_000, 9_500, "3")],
    "expression 1": [(0, 1_000, "happy"), (1_000, 1_500, "neutral"), (9_000, 9_500, "sad")],
    "face 2": [(500, 1_000, "2")],
    "expression 2": [(500, 1_000, "sad")],
}
"""Of FULL, whose frames are half a second apart."""

Annotations = dict[str, list[tuple[int, int, str]]]


def annotations(timeline: Timeline) -> Annotations:
    return {
        tier.name: [(each.start_ms, each.end_ms, each.text) for each in tier.annotations]
        for tier in make_tiers(timeline)
    }


def read_eaf(timeline: Timeline, tmp_path: Path) -> tuple[Eaf, Annotations]:
    file = tmp_path / "clip.eaf"
    file.write_text(format_eaf(timeline), encoding="utf-8")
    document = Eaf(str(file))
    return document, {
        name: [tuple(each[:3]) for each in document.get_annotation_data_for_tier(name)]
        for name in document.get_tier_names()
    }


def test_tiers_are_exactly_these() -> None:
    assert annotations(FULL) == TIERS


def test_a_face_alone_in_a_frame_far_from_the_next_stands_for_a_second_and_a_half() -> None:
    window = make_window(0.0, 160.0, EVEN)
    timeline = replace(make_timeline([window], 160.0), faces=(make_face(20.0, 7, "sad", 0.1),))
    assert annotations(timeline)["face 1"] == [(20_000, 21_500, "7")]


def test_elan_has_the_tiers(tmp_path: Path) -> None:
    document, found = read_eaf(FULL, tmp_path)
    assert found == TIERS
    assert document.get_parameters_for_tier("expression 2")["PARENT_REF"] == "face 2"
    (media,) = document.get_linked_files()
    assert (media["RELATIVE_MEDIA_URL"], media["MIME_TYPE"]) == ("./clip.mp4", "video/mp4")
    assert ("vemoclap", "embedded profile, head: zero-shot") in [
        (key, str(value).partition(" (")[0]) for key, value in document.get_properties()
    ]


def test_elan_s_references_lead_somewhere_and_children_lie_within_their_parents() -> None:
    root = ElementTree.fromstring(format_eaf(FULL))
    order = [child.tag for child in root]
    assert order == sorted(order, key=list(dict.fromkeys(order)).index)
    assert list(dict.fromkeys(order))[:4] == ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE"]
    assert root.find("HEADER").get("TIME_UNITS", "milliseconds") == "milliseconds"  # type: ignore[union-attr]
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "")) for slot in root[1]}
    types = {kind.get("LINGUISTIC_TYPE_ID"): kind for kind in root.iter("LINGUISTIC_TYPE")}
    stereotypes = {each.get("STEREOTYPE") for each in root.iter("CONSTRAINT")}
    spans: dict[str | None, list[tuple[int, int]]] = {}
    for tier in root.iter("TIER"):
        kind = types[tier.get("LINGUISTIC_TYPE_REF")]
        spans[tier.get("TIER_ID")] = own = [
            (slots[each.get("TIME_SLOT_REF1")], slots[each.get("TIME_SLOT_REF2")])
            for each in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        assert all(start < end for start, end in own)
        assert all(one[1] <= other[0] for one, other in pairwise(own))
        parent = tier.get("PARENT_REF")
        assert (parent is None) == (kind.get("CONSTRAINTS") is None)
        if parent is not None:
            assert kind.get("CONSTRAINTS") in stereotypes
            assert all(any(a <= start and end <= b for a, b in spans[parent]) for start, end in own)
    identifiers = [each.get("ANNOTATION_ID") for each in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(identifiers) == len(set(identifiers)) == sum(map(len, TIERS.values()))


def test_praat_has_the_tiers(tmp_path: Path) -> None:
    file = tmp_path / "clip.TextGrid"
    file.write_text(format_textgrid(FULL), encoding="utf-8")
    grid = TextGrid(str(file))
    assert (grid.xmin, grid.xmax) == (0, 12)
    found = {}
    for tier in grid.get_tiers():
        every = list(tier.get_all_intervals())
        # Praat wants intervals from the start to the end without a gap.
        assert (every[0][0], every[-1][1]) == (0, 12)
        assert all(one[1] == other[0] for one, other in pairwise(every))
        found[tier.name] = [
            (round(start * 1000), round(end * 1000), text) for start, end, text in every if text
        ]
    assert found == TIERS


@pytest.mark.parametrize("name", FORMATS)
def test_a_clip_in_which_nothing_is_found_is_still_a_file(name: str) -> None:
    assert FORMATS[name].make(BARE, None) or name == "srt"


def test_texts_keep_what_xml_and_praat_allow(tmp_path: Path) -> None:
    said = replace(
        FULL.utterances[0], text="a\x00b\x0bc\ud800d\ne “ü” 中 \U0001f600 \u0645\u06cc\u200c\u062e"
    )
    timeline = replace(FULL, utterances=(said,), video="d/ü “x” & y.mkv")
    document, found = read_eaf(timeline, tmp_path)
    assert found["utterance"] == [
        (250, 2_000, "a b c d e “ü” 中 \U0001f600 \u0645\u06cc\u200c\u062e")
    ]
    assert document.get_linked_files()[0]["MEDIA_URL"].startswith("./%C3%BC%20")
    assert "中 \U0001f600 \u0645\u06cc\u200c\u062e" in format_textgrid(timeline)


def test_a_link_is_no_media_file_of_elan(tmp_path: Path) -> None:
    document, _ = read_eaf(replace(FULL, video="https://example.org/clip.mp4"), tmp_path)
    assert document.get_linked_files() == []


def test_speech_after_the_last_picture_lengthens_praat_s_grid(tmp_path: Path) -> None:
    late = replace(FULL.utterances[0], start_s=11.0, end_s=13.5)
    file = tmp_path / "clip.TextGrid"
    file.write_text(format_textgrid(replace(FULL, utterances=(late,))), encoding="utf-8")
    assert TextGrid(str(file)).xmax == 13.5


def label_studio(timeline: Timeline) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    (task,) = json.loads(format_label_studio(timeline))
    (prediction,) = task["predictions"]
    return task, prediction["result"]


def test_label_studio_has_emotions_and_tracks_in_frames() -> None:
    task, result = label_studio(FULL)
    assert task["data"] == {"video": "clip.mp4"}
    emotions = [each for each in result if each["type"] == "timelinelabels"]
    assert [(each["value"], each["score"]) for each in emotions] == [
        ({"ranges": [{"start": 1, "end": 144}], "timelinelabels": ["joy"]}, 0.8),
        ({"ranges": [{"start": 145, "end": 288}], "timelinelabels": ["fear"]}, 0.5),
    ]
    tracks = {each["id"]: each["value"] for each in result if each["type"] == "videorectangle"}
    assert list(tracks) == ["face-1", "face-2", "face-3"]
    assert (tracks["face-1"]["framesCount"], tracks["face-1"]["duration"]) == (288, 12)
    keys = [(key["frame"], key["enabled"], key["x"]) for key in tracks["face-1"]["sequence"]]
    assert keys == [(1, True, 0), (13, True, 6.25), (25, True, 12.5), (36, False, 12.5)]
    (first, last) = tracks["face-2"]["sequence"]
    assert first == {
        **{"frame": 13, "time": 0.5, "enabled": True, "rotation": 0},
        **{"x": 50, "y": 25, "width": 25, "height": 50},
    }
    assert (last["frame"], last["enabled"]) == (24, False)


def test_label_studio_s_project_knows_every_name_and_label() -> None:
    root = ElementTree.fromstring(LABELING_CONFIG)
    assert root.find("Video").attrib == {  # type: ignore[union-attr]
        **{"name": "video", "value": "$video", "frameRate": str(FRAME_RATE)}
    }
    controls = {each.get("name"): each for each in root.iter() if each.get("toName")}
    labels = {
        name: {label.get("value") for label in control.iter("Label")}
        for name, control in controls.items()
    }
    assert labels["emotion"] == set(EMOTIONS)
    for region in label_studio(FULL)[1]:
        control = controls[region["from_name"]]
        assert control.get("toName") == region["to_name"]
        if region["type"] == "timelinelabels":
            assert control.tag == "TimelineLabels"
            assert set(region["value"]["timelinelabels"]) <= labels["emotion"]
        else:
            assert control.tag == "VideoRectangle"
            assert set(region["value"]["labels"]) <= labels["face"]


@pytest.mark.parametrize("name", ["", "utterances-", "faces-"])
def test_parquet_and_csv_hold_the_same_typed_rows(name: str, tmp_path: Path) -> None:
    content = FORMATS[f"{name}parquet"].make(FULL, None)
    assert isinstance(content, bytes)
    table = pq.read_table(io.BytesIO(content))
    text = FORMATS[f"{name}csv"].make(FULL, None)
    assert isinstance(text, str)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert table.column_names == list(rows[0])
    assert {str(field.type) for field in table.schema} <= {"string", "double", "int32"}
    for row, twin in zip(table.to_pylist(), rows, strict=True):
        # CSV marks a text that a spreadsheet would run.
        assert {key: "" if row[key] is None else str(row[key]) for key in row} == {
            key: value.removeprefix("'") for key, value in twin.items()
        }
    about = json.loads((table.schema.metadata or {})[b"vemoclap"])
    assert (about["video"], about["profile"], about["window_s"]) == ("clip.mp4", "embedded", 8.0)


def test_faces_and_utterances_are_rows() -> None:
    faces = pandas.read_csv(io.StringIO(table_csv(faces_table(FULL))))
    assert faces.track.tolist() == [1, 1, 2, 1, 3]
    assert faces.expression.tolist() == ["happy", "happy", "sad", "neutral", "sad"]
    assert (faces[list(EXPRESSIONS)].sum(axis=1) == 1).all()
    assert faces.iloc[1][["time_s", "x0", "y0", "x1", "y1"]].tolist() == [
        *(0.5, 0.0625, 0.25, 0.3125, 0.75)
    ]
    said = pandas.read_csv(io.StringIO(table_csv(utterances_table(FULL))))
    assert said.text.tolist() == ['I am "glad"\n& <sure>', "'=1+1"]
    assert said.emotion.tolist() == ["joy", "joy"]


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_dense_rows_replace_the_windows(name: str) -> None:
    content = FORMATS[name].make(FULL, 10)
    read: Callable[[Any], pandas.DataFrame] = (
        pandas.read_csv if name == "csv" else pandas.read_parquet
    )
    dense = read(io.BytesIO(content if isinstance(content, bytes) else content.encode()))
    assert list(dense.columns) == list(windows_table(FULL).columns)
    assert len(dense) == 120
    assert dense[dense.start_s < 4].joy.unique() == pytest.approx([0.8])
    assert dense[dense.start_s >= 8].fear.unique() == pytest.approx([0.5])
    assert dense[(dense.start_s >= 4) & (dense.end_s <= 8)].joy.unique() == pytest.approx(
        [(0.8 + 0.1) / 2]
    )
