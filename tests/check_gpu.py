"""`make check-gpu`: the paper's encoders with random weights, in float16, served on a GPU.

Prints how far each is from eager float32 PyTorch, as TorchScript and as ONNX. Needs no network.
`--device cpu` rehearses it on the processor, in float32: what that prints says nothing about a GPU.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import tritonclient.grpc as triton
from numpy.typing import NDArray

from export.building import write_network
from export.graph import arguments
from export.options import Format, Options, Precision, Random
from export.parity import BATCHES, largest_difference
from export.placing import refresh_configurations
from export.registry import PROFILES
from export.spec import FP16_TOLERANCE, FP32_TOLERANCE, Arrays, Network
from tests.launching import input_tensors, launched

NO_GPU = 50
PARITY_MISS = 51
ENCODERS = ("image_encoder", "audio_encoder", "face_expression", "text_encoder")
FORMATS = (str(Format.TORCHSCRIPT), str(Format.ONNX))
SEED = 0


@dataclass(frozen=True)
class Encoder:
    """One slot's network, eager in float32."""

    slot: str
    network: Network
    eager: torch.nn.Module


def main(given: Sequence[str] | None = None) -> int:
    """Runs the check; returns 0, 50 without a GPU, or 51 where the answers differ too much."""
    options = parse(given)
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            f"check-gpu: there is no GPU here: torch {torch.__version__} finds no CUDA device. "
            "Nothing was checked. (--device cpu rehearses the check on the processor.)",
            file=sys.stderr,
        )
        return NO_GPU
    precision = Precision.FP16 if options.device == "cuda" else Precision.FP32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    say(f"check-gpu: {describe(options.device)}, torch {torch.__version__}, {precision}")
    say(
        f"{datetime.now(UTC):%Y-%m-%d}, python -m tests.check_gpu {' '.join(given or sys.argv[1:])}"
    )
    encoders = [build(slot) for slot in options.slots]
    worst = 0.0
    for form in map(Format, options.formats):
        with TemporaryDirectory(prefix="vemoclap-check-") as folder:
            repository = Path(folder) / "models"
            for encoder in encoders:
                export(encoder, form, precision, repository)
            served = ["--model-repository", repository, *variant(form, options.device)]
            with launched(Path(folder), served) as server:
                worst = max(worst, largest(server.url, encoders, options.device, form))
    tolerance = FP16_TOLERANCE if precision is Precision.FP16 else FP32_TOLERANCE
    say(f"the largest: {worst:.1e}, of at most {tolerance:.0e}")
    return 0 if worst <= tolerance else PARITY_MISS


def parse(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m tests.check_gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--slots", nargs="+", choices=ENCODERS, default=ENCODERS)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    return parser.parse_args(given)


def describe(device: str) -> str:
    """The card, or that there is none."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"REHEARSAL ON THE PROCESSOR ({torch.get_num_threads()} threads)"


def build(slot: str) -> Encoder:
    """A slot's network with seeded random weights."""
    network, random = PROFILES["paper"][slot].network, PROFILES["paper"][slot].random
    assert network is not None
    assert random is not None
    assert random.network is not None
    return Encoder(slot, network, random.network(SEED))


def export(encoder: Encoder, form: Format, precision: Precision, repository: Path) -> None:
    """Writes the network and its configurations; the parity is checked on the server."""
    started = time.perf_counter()
    folder = repository / encoder.slot
    (folder / "1").mkdir(parents=True)
    refresh_configurations(encoder.slot, repository)
    options = Options("paper", form, precision, Random(SEED))
    path = folder / "1" / form.filename
    write_network(encoder.slot, encoder.network, encoder.eager.cpu(), options, path)
    say(f"exported {encoder.slot} as {form} in {time.perf_counter() - started:.1f} s")


def variant(form: Format, device: str) -> list[str]:
    """The launcher's arguments for the format on the device."""
    named = {
        (Format.TORCHSCRIPT, "cpu"): "torchscript",
        (Format.TORCHSCRIPT, "cuda"): "torchscript-gpu",
        (Format.ONNX, "cuda"): "gpu",
    }
    return ["--variant", named[form, device]] if (form, device) in named else []


def largest(url: str, encoders: list[Encoder], device: str, form: Format) -> float:
    """Prints each output's largest difference from eager float32; returns the largest of all."""
    say("\n| slot | output | served as | largest difference from eager fp32 |")
    say("| --- | --- | --- | ---: |")
    worst = 0.0
    with triton.InferenceServerClient(url) as connection:
        for encoder in encoders:
            for name, difference in differences(connection, encoder, device).items():
                say(f"| {encoder.slot} | {name} | {form} | {difference:.1e} |")
                worst = max(worst, difference)
    return worst


def differences(
    connection: triton.InferenceServerClient, encoder: Encoder, device: str
) -> dict[str, float]:
    """Output -> largest difference over batches 1 and 3 of every case."""
    network, found = encoder.network, dict[str, float]()
    for case in range(network.cases):
        for batch in BATCHES:
            inputs = network.examples(batch, case)
            expected = run_eager(network, encoder.eager, inputs, device)
            answer = connection.infer(encoder.slot, input_tensors(inputs))
            for tensor, reference in zip(network.outputs, expected, strict=True):
                difference = largest_difference(answer.as_numpy(tensor.name), reference)
                found[tensor.name] = max(difference, found.get(tensor.name, 0.0))
    return found


def run_eager(
    network: Network, eager: torch.nn.Module, inputs: Arrays, device: str
) -> list[NDArray[Any]]:
    """The eager answers, from the host's memory and back to it."""
    module = eager.to(device)
    with torch.inference_mode():
        outputs = module(*(tensor.to(device) for tensor in arguments(network, inputs)))
    return [output.float().cpu().numpy() for output in outputs]


def say(line: str) -> None:
    """Prints at once: a line may be the last for a while."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
