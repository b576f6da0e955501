"""Model vemoclap_stream: the ensemble's steps, each answered as soon as it is done.

An ensemble answers once, at its end. This runs the same steps, read from the ensemble's own
configuration, so that there is one place that says what follows what.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.repository import CONFIG, read_config
from server.slots.slot import Infer, Tensors, is_filled, json_tensor
from vemoclap_client.contract import CAPTION, ENSEMBLE, EVIDENCE, FRAME_COUNT

CAPTIONER = "captioner"
NO_EVIDENCE = b"{}"


class GraphStep(Protocol):
    """What turns some of a clip's values into others."""

    @property
    def slot(self) -> str:
        """The slot that does it."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """Its input tensors -> the values that they are."""

    async def run(self, inputs: Tensors, infer: Infer) -> tuple[Tensors, bytes]:
        """New values by name, and the step's evidence: a JSON object.

        Args:
            inputs: by the name of the step's own tensor; batch-first, as are the new values.
            infer: asks a slot.
        """


@dataclass(frozen=True)
class SlotStep:
    """A step of the ensemble: one call of a slot."""

    slot: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    """The slot's output tensors -> the values that they become."""

    async def run(self, inputs: Tensors, infer: Infer) -> tuple[Tensors, bytes]:
        """Asks the slot."""
        answer = await infer(self.slot, inputs, list(self.outputs))
        evidence = answer[EVIDENCE][0, 0] if EVIDENCE in answer else NO_EVIDENCE
        return {value: answer[name] for name, value in self.outputs.items()}, evidence


@dataclass(frozen=True)
class CaptionStep:
    """Captions the frame that shows most; its inputs are what the choice is made from."""

    inputs: Mapping[str, str]
    slot: str = CAPTIONER

    async def run(self, inputs: Tensors, infer: Infer) -> tuple[Tensors, bytes]:
        """CAPTION is a JSON object: the frame, and its caption."""
        faces = json.loads(inputs["faces"][0, 0])["faces"]
        written = json.loads(inputs["texts"][0, 0])["screen_text"]
        frame = fullest_frame(faces, written["lines"] if written else [])
        asked = {"IMAGE_FEATURE": inputs["features"][:, frame]}
        answer = await infer(self.slot, asked, [CAPTION])
        caption = json_tensor({"frame": frame, "text": answer[CAPTION][0, 0].decode()})
        return {CAPTION: caption[None]}, caption[0]


def fullest_frame(faces: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]]) -> int:
    """The frame with the most faces and lines of text, the earliest of several.

    Args:
        faces: each with its "frame"; likewise `lines`.
        lines: of on-screen text.
    """
    counts = np.zeros(FRAME_COUNT, int)
    for found in (*faces, *lines):
        counts[found["frame"]] += 1
    return int(counts.argmax())


@dataclass(frozen=True)
class Graph:
    """The ensemble's steps, and that of the caption where the repository can caption."""

    steps: tuple[SlotStep, ...]
    caption: CaptionStep | None

    def steps_for(self, captioned: bool) -> list[GraphStep]:
        """The steps of a request that wants a caption, or not."""
        return [*self.steps, *([self.caption] if captioned and self.caption else [])]


def read_graph(repository: Path, wanted: Sequence[str]) -> Graph:
    """The graph that makes the ensemble's outputs `wanted`.

    Raises:
        ModelLoadError: the ensemble's configuration cannot be read.
    """
    config = read_config(repository / ENSEMBLE / CONFIG)
    steps = ensemble_steps(config, wanted)
    return Graph(steps, caption_step(steps) if is_filled(repository, CAPTIONER) else None)


def ensemble_steps(config: ModelConfig, wanted: Sequence[str]) -> tuple[SlotStep, ...]:
    """The ensemble's steps with those outputs only that a step reads or that are wanted."""
    steps = config.ensemble_scheduling.step
    used = {*wanted, *(value for step in steps for value in step.input_map.values())}
    return tuple(
        SlotStep(
            step.model_name,
            dict(step.input_map),
            {name: value for name, value in step.output_map.items() if value in used},
        )
        for step in steps
    )


def caption_step(steps: Sequence[SlotStep]) -> CaptionStep:
    """The caption's step, which reads what these steps make."""
    outputs = {step.slot: step.outputs for step in steps}
    return CaptionStep(
        {
            "features": outputs["image_encoder"]["FEATURES"],
            "faces": outputs["face_analyzer"][EVIDENCE],
            "texts": outputs["screen_reader"][EVIDENCE],
        }
    )


@dataclass(frozen=True)
class StepDone:
    """A step has answered."""

    slot: str
    evidence: bytes
    """A JSON object; empty from a step that finds nothing for people."""


class GraphRun:
    """One clip on its way through the graph.

    Attributes:
        values: what is known so far, by the ensemble's names, batch-first.
    """

    def __init__(self, steps: Sequence[GraphStep], values: Tensors, infer: Infer) -> None:
        """Starts nothing yet; `values` are the clip's frames and sound."""
        self.values = dict(values)
        self._waiting = list(steps)
        self._working: dict[asyncio.Task[tuple[Tensors, bytes]], str] = {}
        self._infer = infer

    async def steps_done(self, is_cancelled: Callable[[], bool]) -> AsyncIterator[StepDone]:
        """Runs every step as soon as its inputs are there; tells each that is done.

        Once `is_cancelled`, no further step is started, and the iteration ends early.

        Raises:
            Exception: that of the first step that fails; no further step is started.
        """
        self._start_ready()
        while self._working:
            done, _ = await asyncio.wait(self._working, return_when=asyncio.FIRST_COMPLETED)
            told = [self._finish(task) for task in done]
            if is_cancelled():
                return
            self._start_ready()
            for step in told:
                yield step

    async def settle(self) -> None:
        """Waits for the steps at work, whatever becomes of them: a call cannot be taken back."""
        await asyncio.gather(*self._working, return_exceptions=True)

    def _start_ready(self) -> None:
        for step in list(self._waiting):
            if self.values.keys() >= set(step.inputs.values()):
                inputs = {name: self.values[value] for name, value in step.inputs.items()}
                task = asyncio.ensure_future(step.run(inputs, self._infer))
                self._working[task] = step.slot
                self._waiting.remove(step)

    def _finish(self, task: "asyncio.Task[tuple[Tensors, bytes]]") -> StepDone:
        slot = self._working.pop(task)
        values, evidence = task.result()
        self.values.update(values)
        return StepDone(slot, evidence)


def last_answer(values: Tensors, names: Sequence[str]) -> Tensors:
    """The named values of a finished run; CAPTION is JSON's null where there is none."""
    known = {CAPTION: json_tensor(None)[None], **values}
    return {name: known[name] for name in names}
