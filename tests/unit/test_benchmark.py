"""The benchmark's report, on made-up numbers, and how it takes turns."""

import base64
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from server.limits import is_entry
from server.repository import CONFIG, read_config
from tests import launching
from tests.benchmark.clips import Clip, NoClipsError, read_clips, without_voice
from tests.benchmark.figures import CLIENT, TRITON, Figures, Limit, Measurement, SlotLoad
from tests.benchmark.fixed_decisions import fix
from tests.benchmark.in_process import slot_class
from tests.benchmark.perf_analyzer import write_input
from tests.benchmark.processes import slot_of
from tests.benchmark.report import median_shares, render
from tests.benchmark.run import clip_count
from tests.benchmark.turns import Turn, take_turns
from tests.launching import PROJECT


def measured(subject: str, in_flight: int, seconds: float, latency_s: float) -> Measurement:
    """Two clips; the slot `ears` uses 0.5 s of processor time for each."""
    used = {"ears": 1.0, CLIENT: 0.2, TRITON: 0.1}
    loads = {"ears": SlotLoad(rows=8, batches=2, requests=2, queue_s=0.5, compute_s=1.5)}
    latencies_s = (latency_s, latency_s * 2)
    return Measurement(subject, in_flight, seconds, latencies_s, used, loads, ensemble_s=2.0)


FIGURES = Figures(
    about={"command": "bench", "baseline": "abcdef0"},
    levels=(1, 4),
    steps=("ears",),
    measurements=(
        measured("served", 1, 4.0, 2.0),
        measured("served", 4, 2.0, 3.0),
        measured("served", 4, 1.0, 3.0),
        measured("served", 4, 2.0, 3.0),
        measured("baseline", 1, 10.0, 5.0),
        measured("baseline", 4, 10.0, 20.0),
        measured("sequential", 1, 8.0, 4.0),
        replace(measured("direct", 2, 2.5, 2.5), slots={}),
        replace(measured("files", 1, 4.0, 2.0), decode_s=1.5),
    ),
    limit=Limit({"ears": 1.6}, {"ears": 16}, devices=2),
)


def row(table: str, title: str) -> list[str]:
    """The cells after a row's title: served, baseline, sequential, direct, limit."""
    (line,) = (line for line in table.splitlines() if line.startswith(f"| {title} |"))
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def test_the_ratios_come_first_and_are_of_the_medians() -> None:
    table = render(FIGURES)
    header = table.splitlines()[2]
    assert header == "| | served | abcdef0 | sequential | direct | limit |"
    assert table.splitlines()[4].startswith("| **served / this, clips/s at 1 in flight**")
    # Served 1 clip/s (median of 1, 2, 1), others 0.2, 0.25, 0.8, and 2 / 1.6 at the limit.
    title = "**served / this, clips/s at 4 in flight (its best)**"
    assert row(table, title) == ["-", "5.00", "4.00", "1.25", "0.80"]
    # Medians of (2, 4), (5, 10) and (4, 8) s.
    assert row(table, "**this / served, p50 at 1 in flight**") == ["-", "2.50", "2.00", "-", "-"]
    assert row(table, "**clips/s at 4 in flight / best**")[0] == "1.00"


def test_throughput_latency_and_processor_time_are_per_clip() -> None:
    table = render(FIGURES)
    assert row(table, "clips/s at 4 in flight")[:2] == ["1.000", "0.200"]
    assert row(table, "clips/s at its own number in flight")[2:] == ["0.250", "0.800", "1.250"]
    assert row(table, "p50 at 4 in flight, s")[:2] == ["4.50", "30.00"]
    assert row(table, "p99 at 1 in flight, s")[0] == "3.98"
    title = "processor s/clip at 4 in flight, without client"
    assert row(table, title) == ["0.55", "0.55", "0.55", "0.55", "1.60"]
    assert row(table, "processor s/clip: ears")[0] == "0.50"
    assert row(table, "rows a batch at 1/4 in flight: ears")[0] == "4.0 / 4.0"
    assert (
        row(table, "queue + compute, s/clip at 1/4 in flight: ears")[0] == "0.25+0.75 / 0.25+0.75"
    )
    assert row(table, "repetitions") == ["3", "1", "1", "1", "-"]


def test_the_shares_of_a_latency_add_up() -> None:
    (files,) = (one for one in FIGURES.measurements if one.subject == "files")
    # 6 s of latency: 1.5 decoding, 2 in the server, of which a quarter is queueing.
    shares = median_shares([files], FIGURES.steps)
    expected = {"decode": 0.25, "transfer": 2.5 / 6, "queue": 0.5 / 6, "compute": 1.5 / 6}
    assert shares == pytest.approx(expected)
    assert sum(shares.values()) == pytest.approx(1)


def test_turns_alternate_while_there_is_time() -> None:
    now = [0.0]

    def lasting(name: str, seconds: float) -> Turn[str]:
        def measure() -> str:
            now[0] += seconds
            return name

        return Turn(name, measure)

    turns = [lasting("a", 1), lasting("b", 5), lasting("c", 1)]
    found = take_turns(turns, 15.0, lambda line: None, lambda: now[0])
    # After two rounds of 7 s one second is left, which is enough for the short ones only.
    assert found == ["a", "b", "c", "a", "b", "c", "a"]
    assert take_turns(turns, 0.0, lambda line: None, lambda: now[0]) == ["a", "b", "c"]


def test_each_clip_is_sent_equally_often() -> None:
    assert [clip_count(in_flight, 3) for in_flight in (1, 2, 4, 16)] == [3, 6, 9, 33]


def test_a_stub_is_known_by_its_slot() -> None:
    stub = "/tmp/files/backends/python/triton_python_backend_stub"
    assert (
        slot_of([stub, "/tmp/files/models/face_detector/1/model.onnx", "region"]) == "face_detector"
    )
    assert slot_of(["/bin/tritonserver", "--model-repository=/a/b/c"]) == TRITON


def test_every_python_slot_is_found_by_its_model_file() -> None:
    paths = sorted((PROJECT / "model_repository").glob("*/1/model.py"))
    folders = [path.parents[1] for path in paths]
    slots = [folder for folder in folders if not is_entry(read_config(folder / CONFIG))]
    classes = {folder.name: slot_class(folder / "1" / "model.py") for folder in slots}
    assert len(set(classes.values())) == len(classes) > 5


def test_a_fixed_detector_finds_one_face_among_any_number(tmp_path: Path) -> None:
    values = helper.make_tensor_value_info
    outputs = [values("SCORES", TensorProto.FLOAT, ["n", "boxes"])]
    inputs = [values("IMAGE", TensorProto.FLOAT, ["n", "boxes"])]
    nodes = [helper.make_node("Abs", ["IMAGE"], ["SCORES"])]
    graph = helper.make_graph(nodes, "detector", inputs, outputs)
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), tmp_path / "a.onnx")
    fix(tmp_path / "a.onnx", tmp_path / "b.onnx", {"SCORES": np.ones(1, np.float32)})
    session = ort.InferenceSession(tmp_path / "b.onnx", providers=["CPUExecutionProvider"])
    for boxes in (1, 3):
        (scores,) = session.run(["SCORES"], {"IMAGE": np.full((2, boxes), 5, np.float32)})
        assert scores.tolist() == [[1.0, 0.0, 0.0][:boxes]] * 2


def test_without_a_voice_the_sound_is_as_long(tmp_path: Path) -> None:
    clip = Clip(
        tmp_path / "a.mp4", np.zeros((16, 8, 8, 3), np.uint8), np.ones(16000, np.float32), 1.0
    )
    assert without_voice(clip).audio.shape == (16000,)
    with pytest.raises(NoClipsError, match="make samples"):
        read_clips([tmp_path])


def test_perf_analyzer_is_given_every_clip(tmp_path: Path) -> None:
    frames = np.arange(16 * 8 * 9 * 3, dtype=np.uint8).reshape(16, 8, 9, 3)
    clip = Clip(tmp_path / "a.mp4", frames, np.linspace(-1, 1, 5, dtype=np.float32), 1.0)
    silent = replace(clip, audio=np.zeros(0, np.float32))
    command = write_input([clip, silent], tmp_path / "input.json")
    assert f"--input-data {tmp_path}/input.json" in command
    first, second = json.loads((tmp_path / "input.json").read_text())["data"]
    assert first["FRAMES"]["shape"] == [16, 8, 9, 3]
    sent = np.frombuffer(base64.b64decode(first["AUDIO"]["content"]["b64"]), np.float32)
    assert sent.tolist() == clip.audio.tolist()
    assert second["AUDIO"]["shape"] == [1]


def test_without_a_gpu_it_says_so() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    command = [sys.executable, "-m", "tests.benchmark", "--gpu"]
    finished = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert finished.returncode == 50
    assert "there is no GPU here" in finished.stderr
    assert finished.stdout == ""


def test_a_launcher_from_before_the_probes_is_not_told_of_them(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "__main__.py").write_text("no such option", encoding="utf-8")
    assert launching.quiet(tmp_path) == ()
    assert launching.quiet(launching.PROJECT) == ("--probe-interval-s", "0")
