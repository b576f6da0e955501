"""The measurements of one run, in turns."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from server.threads import processors
from tests.benchmark.clips import Clip, read_clips, without_voice
from tests.benchmark.figures import DIRECT, LIMIT, SEQUENTIAL, Figures, Measurement
from tests.benchmark.fixed_decisions import is_random
from tests.benchmark.load import Server, measure, measure_files
from tests.benchmark.rivals import RunningRival, direct, measure_best, running, sequential
from tests.benchmark.servers import checked_out, filled_repository, full_name, measurable, served
from tests.benchmark.turns import Turn, take_turns

RIVALS = (SEQUENTIAL, DIRECT, LIMIT)
ROUNDS_IN_FLIGHT = 2
"""Each place in flight is taken by so many clips, one after the other."""


@dataclass(frozen=True)
class Wanted:
    """What is measured.

    Attributes:
        repository: the model repository.
        clips: files or folders.
        levels: clips in flight.
        baseline_levels: those at which the baseline is measured.
        seconds: for all of it; measuring everything once may take longer.
        baseline: a commit.
        rivals: which of RIVALS are measured.
        arguments: of `python -m server`.
        device: "cpu" or "cuda".
        command: that was given, for the report.
    """

    repository: Path
    clips: tuple[Path, ...]
    levels: tuple[int, ...]
    seconds: float
    command: str
    baseline: str | None = None
    baseline_levels: tuple[int, ...] = (1, 4)
    rivals: tuple[str, ...] = RIVALS
    arguments: tuple[str, ...] = ()
    device: str = "cpu"


def run(wanted: Wanted) -> Figures:
    """Starts the servers, measures everything in turns, and stops them.

    Raises:
        NoClipsError: there is nothing to send.
        BaselineError: the other commit cannot be measured.
    """
    started = time.monotonic()
    commit = full_name(wanted.baseline) if wanted.baseline else None
    clips = read_clips(wanted.clips)
    if is_random(wanted.repository):
        clips = [without_voice(clip) for clip in clips]
    repository = measurable(wanted.repository, "served")
    with ExitStack() as stack:
        servers = []
        if commit is not None:
            worktree = stack.enter_context(checked_out(commit))
            say(f"exporting what {commit[:7]} needs")
            filled = filled_repository(worktree, commit, wanted.repository)
            filled = measurable(filled, f"baselines/{commit}/fixed")
            servers.append(stack.enter_context(served("baseline", filled, worktree)))
        ours = stack.enter_context(served("served", repository, arguments=wanted.arguments))
        servers.append(ours)
        say("warming up")
        for server in servers:
            measure(server, clips, 1, len(clips))
        limit, kinds = None, []
        if LIMIT in wanted.rivals:
            say("measuring the limit")
            limit = measure_best(repository, clips, wanted.device)
        if SEQUENTIAL in wanted.rivals:
            kinds.append(sequential(repository, wanted.device))
        if DIRECT in wanted.rivals and wanted.device == "cpu":
            kinds.append(direct(repository))
        say("starting the rivals")
        rivals = [stack.enter_context(running(kind, clips)) for kind in kinds]
        turns = [*_server_turns(wanted, servers, clips), *_rival_turns(rivals, clips)]
        found = take_turns(turns, wanted.seconds - (time.monotonic() - started), say)
    about = _about(wanted, clips, commit)
    return Figures(about, wanted.levels, ours.steps, tuple(found), limit)


def _server_turns(
    wanted: Wanted, servers: Sequence[Server], clips: Sequence[Clip]
) -> Iterator[Turn[Measurement]]:
    """What is compared stands side by side; the last server is this checkout's."""
    for level in wanted.levels:
        count = clip_count(level, len(clips))
        for server in servers:
            if server is servers[-1] or level in wanted.baseline_levels:
                measured = partial(measure, server, clips, level, count)
                yield Turn(f"{server.subject}, {level} in flight", measured)
    # Random weights are sent other sound than the files have.
    if not is_random(wanted.repository):
        level = wanted.levels[0]
        measured = partial(measure_files, servers[-1], clips, level, clip_count(level, len(clips)))
        yield Turn("served, from files", measured)


def _rival_turns(
    rivals: Sequence[RunningRival], clips: Sequence[Clip]
) -> Iterator[Turn[Measurement]]:
    for one in rivals:
        measured = partial(one.measure, clip_count(one.rival.workers, len(clips)))
        yield Turn(one.rival.kind, measured)


def clip_count(in_flight: int, clips: int) -> int:
    """How many are sent: each clip equally often, and at least two for each place in flight.

    With one in flight, where nothing runs side by side, each clip once.
    """
    least = ROUNDS_IN_FLIGHT * in_flight if in_flight > 1 else 1
    return -(-least // clips) * clips


def _about(wanted: Wanted, clips: Sequence[Clip], commit: str | None) -> dict[str, str]:
    seconds = [f"{clip.path.name} ({clip.duration_s:.1f} s)" for clip in clips]
    return {
        "command": wanted.command,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{processors()} processors, {processor_name()}",
        **_gpu(wanted.device),
        "clips": ", ".join(seconds),
        "weights": "random, 16 faces, no speech" if is_random(wanted.repository) else "pretrained",
        **({"baseline": commit[:7]} if commit else {}),
    }


def _gpu(device: str) -> dict[str, str]:
    if device == "cpu":
        return {}
    import torch

    return {"GPU": torch.cuda.get_device_name(), "limit": "seconds of the GPU, with transfers"}


def processor_name(path: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, as the kernel has it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), "?")


def say(line: str) -> None:
    """Prints progress, which is no part of the report."""
    print(f"bench: {line}", file=sys.stderr, flush=True)
