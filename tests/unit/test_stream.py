"""The steps of a stream, without Triton, and the reading of its answers."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from server.repository import read_config
from server.slots.analysis import ANALYZERS
from server.slots.slot import Tensors, json_tensor
from server.slots.stream import (
    CaptionStep,
    GraphRun,
    GraphStep,
    SlotStep,
    caption_step,
    ensemble_steps,
    fullest_frame,
    read_graph,
)
from vemoclap_client import contract
from vemoclap_client._waiting import run_cancellable
from vemoclap_client.analysis import Face, FaceEvidence, FrameCaption, TextEvidence, TextLine
from vemoclap_client.stream import MODALITY_OF_STEP

REPOSITORY = Path(__file__).parents[2] / "model_repository"
WANTED = (contract.PROBABILITIES, contract.ANALYSIS)


class Slots:
    """Slots that answer when they are told to."""

    def __init__(self, *held: str) -> None:
        self.asked: list[str] = []
        self.failing: set[str] = set()
        self.gates = {slot: asyncio.Event() for slot in held}

    async def __call__(
        self, slot: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Tensors:
        self.asked.append(slot)
        if slot in self.gates:
            await self.gates[slot].wait()
        if slot in self.failing:
            raise RuntimeError(f"slot {slot}: broken")
        answers = {name: np.array([[f"{slot}.{name}"]], object) for name in outputs}
        if contract.EVIDENCE in answers:
            answers[contract.EVIDENCE] = json_tensor({"from": slot})[None]
        return answers


DIAMOND = (
    SlotStep("left", {"X": "START"}, {"Y": "LEFT", "EVIDENCE": "LEFT_EVIDENCE"}),
    SlotStep("right", {"X": "START"}, {"Y": "RIGHT"}),
    SlotStep("join", {"A": "LEFT", "B": "RIGHT"}, {"Y": "END"}),
)


def start_run(slots: Slots, steps: Sequence[GraphStep] = DIAMOND) -> GraphRun:
    return GraphRun(steps, {"START": np.zeros((1, 1))}, slots)


async def slots_of(run: GraphRun) -> list[str]:
    return [step.slot async for step in run.steps_done(lambda: False)]


def test_a_step_starts_when_its_inputs_are_there_and_not_before() -> None:
    async def check() -> None:
        slots = Slots("left")
        run = start_run(slots)
        steps = run.steps_done(lambda: False)
        assert (await anext(steps)).slot == "right"
        assert slots.asked == ["left", "right"]
        slots.gates["left"].set()
        first = await anext(steps)
        assert (first.slot, json.loads(first.evidence)) == ("left", {"from": "left"})
        last = await anext(steps)
        assert (last.slot, last.evidence) == ("join", b"{}")
        assert slots.asked == ["left", "right", "join"]
        assert run.outputs(["END"])["END"][0, 0] == "join.Y"

    asyncio.run(check())


def test_a_failing_step_is_raised_at_once_and_none_is_started_after_it() -> None:
    async def check() -> None:
        slots = Slots("left")
        slots.failing = {"right"}
        run = start_run(slots)
        with pytest.raises(RuntimeError, match="slot right: broken"):
            await slots_of(run)
        settling = asyncio.ensure_future(run.settle())
        await asyncio.sleep(0)
        assert not settling.done(), "left is still at work"
        slots.gates["left"].set()
        await settling
        assert slots.asked == ["left", "right"]

    asyncio.run(check())


def test_a_cancelled_run_starts_no_further_step() -> None:
    async def check() -> list[str]:
        slots = Slots()
        assert [step async for step in start_run(slots).steps_done(lambda: True)] == []
        return slots.asked

    assert asyncio.run(check()) == ["left", "right"]


def test_the_committed_ensemble_runs_to_its_outputs_each_step_once() -> None:
    async def check() -> None:
        slots = Slots()
        config = read_config(REPOSITORY / contract.ENSEMBLE / "config.pbtxt")
        steps = ensemble_steps(config, WANTED)
        clip = {contract.FRAMES: np.zeros((1, 16)), contract.AUDIO: np.zeros((1, 0))}
        run = GraphRun(steps, clip, slots)
        ended = await slots_of(run)
        names = [step.model_name for step in config.ensemble_scheduling.step]
        assert sorted(ended) == sorted(slots.asked) == sorted(names)
        assert ended[-1] == "answer_writer"
        assert set(run.outputs(WANTED)) == set(WANTED)

    asyncio.run(check())


def test_outputs_that_nobody_reads_are_not_asked_for() -> None:
    config = read_config(REPOSITORY / contract.ENSEMBLE / "config.pbtxt")
    writer = ensemble_steps(config, WANTED)[-1]
    assert writer.outputs == {contract.ANALYSIS: contract.ANALYSIS}


@pytest.mark.parametrize(
    ("faces", "lines", "frame"),
    [([], [], 0), ([3, 3, 5], [5], 3), ([7], [9, 9], 9), ([4], [2], 2), ([15, 15], [], 15)],
)
def test_the_frame_with_most_faces_and_lines_is_captioned(
    faces: list[int], lines: list[int], frame: int
) -> None:
    found = [face_in(index) for index in faces]
    written = [TextLine(index, BOX, "", 1) for index in lines]
    assert fullest_frame(found, written) == frame


BOX = (0.0, 0.0, 1.0, 1.0)


def face_in(frame: int) -> Face:
    return Face(frame, BOX, 1, {})


def test_the_caption_is_made_from_the_chosen_frames_feature() -> None:
    features = np.arange(16, dtype=np.float32)[None, :, None].repeat(512, axis=2)
    asked: list[Tensors] = []

    async def infer(
        slot: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Tensors:
        assert (slot, list(outputs)) == ("captioner", [contract.CAPTION])
        asked.append(dict(inputs))
        return {contract.CAPTION: np.array([["a man in a café".encode()]], object)}

    inputs = {
        "features": features,
        "faces": json_tensor(FaceEvidence(faces=(face_in(6),)))[None],
        "texts": json_tensor(TextEvidence())[None],
    }
    values, evidence = asyncio.run(CaptionStep({}).run(inputs, infer))
    assert msgspec.json.decode(evidence, type=FrameCaption) == FrameCaption(6, "a man in a café")
    assert values[contract.CAPTION][0, 0] == evidence
    assert asked[0]["IMAGE_FEATURE"].shape == (1, 512)
    assert np.unique(asked[0]["IMAGE_FEATURE"]) == [6]


def test_a_caption_is_made_on_request_where_the_repository_can(tmp_path: Path) -> None:
    folder = tmp_path / contract.ENSEMBLE
    folder.mkdir()
    (folder / "config.pbtxt").write_text(
        (REPOSITORY / contract.ENSEMBLE / "config.pbtxt").read_text()
    )
    assert read_graph(tmp_path, WANTED).caption is None
    stamp = tmp_path / "captioner" / "1" / "export.json"
    stamp.parent.mkdir(parents=True)
    stamp.touch()
    graph = read_graph(tmp_path, WANTED)
    assert graph.caption == caption_step(graph.steps)
    assert graph.caption in graph.steps_for(captioned=True, jpeg=False)
    assert graph.steps_for(captioned=False, jpeg=False) == list(graph.steps)


def test_frames_that_come_as_files_are_decoded_first() -> None:
    graph = read_graph(REPOSITORY, WANTED)
    decoding, *others = graph.steps_for(captioned=False, jpeg=True)
    assert (decoding.slot, list(decoding.inputs)) == ("frame_decoder", [contract.JPEG_FRAMES])
    assert others == list(graph.steps)


def test_no_caption_is_null() -> None:
    outputs = start_run(Slots(), []).outputs([contract.CAPTION])
    assert outputs[contract.CAPTION].tolist() == [[b"null"]]


def test_the_client_knows_the_steps_that_the_server_has() -> None:
    steps = {slot: modality for modality, slot in ANALYZERS.items()}
    assert {"image_encoder": "image", **steps} == MODALITY_OF_STEP


def test_what_waits_can_be_cancelled_and_its_errors_come_through() -> None:
    assert run_cancellable(lambda: 3, None) == 3
    with pytest.raises(ZeroDivisionError):
        run_cancellable(lambda: 1 // 0, None)
    never, cancel = Event(), Event()
    cancel.set()
    with pytest.raises(CancelledError):
        run_cancellable(never.wait, cancel)
    never.set()
