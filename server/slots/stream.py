"""Model vemoclap_stream: runs the ensemble's steps, with a response after each.

An ensemble responds once, at its end. The steps and their order are read from the ensemble's own
configuration.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc.model_config_pb2 import ModelConfig

from server.repository import CONFIG, read_config
from server.slots.slot import Infer, ReceivedTensor, Tensors, Value, is_filled, json_tensor
from vemoclap_client.analysis import Face, FaceEvidence, FrameCaption, TextEvidence, TextLine
from vemoclap_client.contract import (
    CAPTION,
    ENSEMBLE,
    EVIDENCE,
    FRAME_COUNT,
    FRAMES,
    JPEG_FRAMES,
)
from vemoclap_client.documents import parse_json

CAPTIONER = "captioner"
NO_EVIDENCE = b"{}"


class GraphStep(Protocol):
    """A step: a call of a slot that computes some of a clip's values from others."""

    @property
    def slot(self) -> str:
        """Name of the slot."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """The slot's input tensors -> the names of their values."""

    async def run(self, inputs: Mapping[str, Value], infer: Infer) -> tuple[Tensors, bytes]:
        """Computes new values, by name, and the step's evidence as JSON.

        Args:
            inputs: by the names of the slot's tensors; batch-first, as are the new values.
            infer: calls a slot.
        """


@dataclass(frozen=True)
class SlotStep:
    """A step of the ensemble.

    Attributes:
        outputs: the slot's output tensors -> the names of their values.
    """

    slot: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    async def run(self, inputs: Mapping[str, Value], infer: Infer) -> tuple[Tensors, bytes]:
        """Calls the slot."""
        tensors = await infer(self.slot, inputs, list(self.outputs))
        evidence = tensors[EVIDENCE][0, 0] if EVIDENCE in tensors else NO_EVIDENCE
        return {value: tensors[name] for name, value in self.outputs.items()}, evidence


@dataclass(frozen=True)
class CaptionStep:
    """Captions the frame with the most faces and lines of text.

    Attributes:
        inputs: "features", those of the images, and "faces" and "texts", the evidence of
            face_analyzer and screen_reader.
    """

    inputs: Mapping[str, str]
    slot: str = CAPTIONER

    async def run(self, inputs: Mapping[str, Value], infer: Infer) -> tuple[Tensors, bytes]:
        """CAPTION: a FrameCaption as JSON."""
        faces = parse_json(array_of(inputs["faces"])[0, 0], FaceEvidence, "evidence of faces")
        texts = parse_json(array_of(inputs["texts"])[0, 0], TextEvidence, "evidence of texts")
        lines = texts.screen_text.lines if texts.screen_text else ()
        frame = fullest_frame(faces.faces, lines)
        image = {"IMAGE_FEATURE": array_of(inputs["features"])[:, frame]}
        text = (await infer(self.slot, image, [CAPTION]))[CAPTION][0, 0].decode()
        caption = json_tensor(FrameCaption(frame, text))
        return {CAPTION: caption[None]}, caption[0]


def array_of(value: Value) -> NDArray[Any]:
    """The value's array."""
    return value.array if isinstance(value, ReceivedTensor) else value


def fullest_frame(faces: Sequence[Face], lines: Sequence[TextLine]) -> int:
    """Index of the frame with the most faces and lines of text, the earliest of several."""
    frames = [*(face.frame for face in faces), *(line.frame for line in lines)]
    return int(np.bincount(frames, minlength=FRAME_COUNT).argmax())


@dataclass(frozen=True)
class Graph:
    """The ensemble's steps; and the caption's, where the repository has a captioner."""

    steps: tuple[SlotStep, ...]
    caption: CaptionStep | None

    def steps_for(self, captioned: bool, jpeg: bool) -> list[GraphStep]:
        """The steps of a request, with or without a caption, for frames raw or as JPEG files."""
        captioning = [self.caption] if captioned and self.caption else []
        return [*([decoding_step()] if jpeg else []), *self.steps, *captioning]


def read_graph(repository: Path, wanted: Sequence[str]) -> Graph:
    """Reads the steps that compute the ensemble's outputs `wanted`.

    Raises:
        ModelLoadError: the ensemble's configuration cannot be read.
    """
    config = read_config(repository / ENSEMBLE / CONFIG)
    steps = ensemble_steps(config, wanted)
    return Graph(steps, caption_step(steps) if is_filled(repository, CAPTIONER) else None)


def ensemble_steps(config: ModelConfig, wanted: Sequence[str]) -> tuple[SlotStep, ...]:
    """The ensemble's steps, without the outputs that no step reads and that are not wanted."""
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


def decoding_step() -> SlotStep:
    """Decodes frames that come as JPEG files."""
    return SlotStep("frame_decoder", {JPEG_FRAMES: JPEG_FRAMES}, {FRAMES: FRAMES})


def caption_step(steps: Sequence[SlotStep]) -> CaptionStep:
    """The caption's step, which reads outputs of these steps."""
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
    """A step that has ended.

    Attributes:
        evidence: JSON; an empty object from a step without evidence.
    """

    slot: str
    evidence: bytes


class GraphRun:
    """One clip's way through the steps."""

    def __init__(
        self, steps: Sequence[GraphStep], values: Mapping[str, Value], infer: Infer
    ) -> None:
        """Starts nothing yet.

        Args:
            steps: those to run.
            values: the clip's frames and sound, by the ensemble's names, batch-first.
            infer: calls a slot.
        """
        self._values = dict(values)
        self._pending = list(steps)
        self._running: dict[asyncio.Task[tuple[Tensors, bytes]], str] = {}
        self._infer = infer

    def outputs(self, names: Sequence[str]) -> Tensors:
        """The named values after the last step; CAPTION is JSON's null without a caption."""
        known = {CAPTION: json_tensor(None)[None], **self._values}
        return {name: array_of(known[name]) for name in names}

    async def steps_done(self, is_cancelled: Callable[[], bool]) -> AsyncIterator[StepDone]:
        """Runs every step as soon as its inputs are known; yields each when it has ended.

        Once `is_cancelled`, no further step is started, and the iteration ends early.

        Raises:
            Exception: that of the first step that fails; no further step is started.
        """
        self._start_ready()
        while self._running:
            ended, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            steps = [self._finish(task) for task in ended]
            if is_cancelled():
                return
            self._start_ready()
            for step in steps:
                yield step

    async def settle(self) -> None:
        """Returns when no step runs any more, also after errors: a call cannot be taken back."""
        await asyncio.gather(*self._running, return_exceptions=True)

    def _start_ready(self) -> None:
        for step in list(self._pending):
            if self._values.keys() >= set(step.inputs.values()):
                inputs = {name: self._values[value] for name, value in step.inputs.items()}
                task = asyncio.ensure_future(step.run(inputs, self._infer))
                self._running[task] = step.slot
                self._pending.remove(step)

    def _finish(self, task: "asyncio.Task[tuple[Tensors, bytes]]") -> StepDone:
        slot = self._running.pop(task)
        values, evidence = task.result()
        self._values.update(values)
        return StepDone(slot, evidence)
