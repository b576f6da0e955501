"""Builds a slot's network from the chosen weights, writes it in the chosen format, checks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from export import configuration
from export.configuration import CONFIG, REPOSITORY
from export.errors import CheckpointError
from export.options import Checkpoint, Format, Options, Precision, Pretrained, Random
from export.spec import Builder, Files, Network, Slot, Source

if TYPE_CHECKING:
    import torch

BRING_A_CHECKPOINT = (
    "profile {profile} needs a head: fetch VEMOCLAP's, which is under GPL-3, with --head authors "
    "--accept GPL-3 (make export PROFILE={profile} HEAD=authors ACCEPT=GPL-3), or bring a head.pt "
    "that you have trained, with --head FILE (make export PROFILE={profile} HEAD=FILE)."
)
"""What a user is told of the one slot whose weights need a decision."""


@dataclass(frozen=True)
class Build(Generic[Source]):
    """A builder, and where its weights come from, given the fetched artifacts."""

    builder: Builder[Source]
    source: Callable[[Files], Source]

    def write(self, files: Files, folder: Path) -> None:
        """Write what lies beside the network."""
        if self.builder.write is not None:
            self.builder.write(self.source(files), folder)


def build_of(slot: Slot, options: Options) -> Build[Any]:
    """Return how the slot is filled from the chosen weights: the one place that decides it.

    Raises:
        CheckpointError: the slot takes no checkpoint, has no random weights, or its weights may
            not be fetched.
    """
    match options.weights:
        case Pretrained() if slot.pretrained:
            return Build(slot.pretrained, lambda files: files)
        case Random(seed) if slot.random:
            return Build(slot.random, lambda _: seed)
        case Checkpoint(path) if slot.checkpoint:
            return Build(slot.checkpoint, lambda _: path)
        case Pretrained():
            raise CheckpointError(BRING_A_CHECKPOINT.format(profile=options.profile))
        case Random():
            lacks = "has no random weights"
        case Checkpoint():
            lacks = "takes no checkpoint"
    raise CheckpointError(f"slot {slot.name} of profile {options.profile} {lacks}")


def supported(slot: Slot, options: Options) -> Options:
    """Return the options with a format and a precision that the slot's network has."""
    if slot.network is None:
        return options
    formats, precisions = slot.network.formats, slot.network.precisions
    return replace(
        options,
        format=options.format if options.format in formats else formats[0],
        precision=options.precision if options.precision in precisions else precisions[0],
    )


def export_network(
    slot: Slot, build: Build[Any], options: Options, files: Files, path: Path
) -> dict[str, float]:
    """Write the slot's network to `path`; return each output's worst figure (`parity.compare`).

    Raises:
        CheckpointError: the weights do not fit, or cannot be written in this format.
        SpecMismatchError: graph, declaration and config.pbtxt disagree.
        ParityError: the graph's answers differ too much.
    """
    from export import parity

    network, builder, source = slot.network, build.builder, build.source(files)
    assert network is not None
    configured = configuration.read(REPOSITORY / slot.name / CONFIG)
    configuration.check(slot.name, network, configured)
    if builder.graph is not None:
        if options.format is not Format.ONNX or options.precision is not Precision.FP32:
            raise CheckpointError(
                f"slot {slot.name} takes {source} as it is: in onnx and fp32 only"
            )
        builder.graph(source, path)
        if builder.original is None:
            return {}
        return parity.compare(
            slot.name, network, parity.cases(network, builder.original(source)), path
        )
    assert builder.network is not None
    eager = builder.network(source)
    cases = parity.references(network, eager)
    write_network(slot.name, network, eager, options, path)
    return parity.compare(slot.name, network, cases, path, options.precision)


def write_network(
    slot: str, network: Network, eager: torch.nn.Module, options: Options, path: Path
) -> None:
    """Write the eager network to `path` in the chosen format and precision, unchecked."""
    from export import graph, precision, torchscript

    if options.precision is Precision.FP16:
        eager = precision.halve(eager)
    if options.format is Format.TORCHSCRIPT:
        if options.precision is Precision.INT8:
            eager = precision.quantise(eager)
        torchscript.write(network, eager, path)
        return
    graph.write(network, eager, path)
    configured = configuration.read(REPOSITORY / slot / CONFIG)
    graph.finish(slot, network, configured, options, path)
    if options.precision is Precision.INT8:
        if network.int8_block is None:
            precision.quantise_onnx(path)
        else:
            precision.quantise_onnx_blocks(path, network.int8_block)
