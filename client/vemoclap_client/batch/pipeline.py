"""Ray Data: blocks of clips go to worker processes, and blocks of rows come back."""

import logging
import math
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data
import tenacity

from vemoclap_client.batch.listing import SOURCE
from vemoclap_client.batch.rows import NUMBER
from vemoclap_client.batch.worker import Begun, ClipWorker, Settings
from vemoclap_client.errors import BatchError
from vemoclap_client.files import workspace

CLIPS_PER_BLOCK = 8
"""What a killed worker has to do again at most, and what a row waits for at most."""

BLOCKS_PER_EXECUTION = 2000
"""Ray keeps some 50 kB in this process for each block until an execution ends, so a long input is
several executions."""

OBJECT_STORE_BYTES = 200_000_000
"""Of a Ray on this machine: blocks are a MB or two, with features."""

WORKER_CPUS = 0.5
"""What a worker reserves of a processor at most: those of a lost node have room on the others."""


STANDARD_ERROR = 2
"""The file descriptor."""

RAY_STARTS = 3
"""Of a Ray of this process's own, at most."""

WORKER_STARTS = 10
"""Workers that may be killed one after the other while they start."""


@contextmanager
def running_ray(address: str | None) -> Iterator[None]:
    """A connection to a cluster, or without an address a Ray of this process's own.

    The processes of a Ray of its own end with this process, even a killed one, and its files are
    removed, at the latest by the next one. They have its priority: with Ray's default, 15 lower,
    they do nearly nothing beside programs that keep all processors busy. Ray gives its start 30 s,
    which now and then are too little, of an unknown cause: it is tried again.

    Raises:
        BatchError: there is no cluster at that address, or Ray failed in the block.
    """
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    with ExitStack() as stack:
        if address is None:
            folder = stack.enter_context(workspace(Path(tempfile.gettempdir()), "vemoclap_ray_"))
            quiet |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
            quiet |= {"_temp_dir": str(folder), "_system_config": {"worker_niceness": 0}}
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        try:
            with _without_standard_error():
                starts = RAY_STARTS if address is None else 1
                _attempts(starts)(ray.init, address=address or "local", **quiet)
        except Exception as error:  # Such as its plain one of a node that took 30 s to start.
            raise BatchError(f"Ray cannot be used ({address or 'local'}): {error}") from error
        stack.callback(ray.shutdown)
        try:
            yield
        except ray.exceptions.RayError as error:
            raise BatchError(f"Ray failed: {error}. The same command goes on.") from error


def _attempts(most: int) -> tenacity.Retrying:
    """Calls a function until Ray does not say that it timed out."""
    timed_out = tenacity.retry_if_exception_message(match=r"(?i).*timed out")
    stop = tenacity.stop_after_attempt(most)
    return tenacity.Retrying(retry=timed_out, stop=stop, reraise=True)


@contextmanager
def _without_standard_error() -> Iterator[None]:
    """Ray's own code prints there that it has read RAY_BACKEND_LOG_LEVEL; its errors are raised."""
    kept = os.dup(STANDARD_ERROR)
    try:
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), STANDARD_ERROR)
        yield
    finally:
        os.dup2(kept, STANDARD_ERROR)
        os.close(kept)


def processors() -> int:
    """Of all nodes together."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 1)))


def classify_clips(
    clips: pa.Table, settings: Settings, workers: int, worker: type[ClipWorker] = ClipWorker
) -> Generator[pa.Table]:
    """Rows of clips, as they come, in any order.

    Args:
        clips: with NUMBER and SOURCE.
        settings: how clips are classified.
        workers: processes that decode and ask, on all nodes together.
        worker: what they run.

    Raises:
        RayError: Ray failed.
    """
    per_block = max(1, min(CLIPS_PER_BLOCK, math.ceil(clips.num_rows / (4 * workers))))
    begun = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Begun).remote()
    per_execution = per_block * BLOCKS_PER_EXECUTION
    for start in range(0, clips.num_rows, per_execution):
        part = clips.slice(start, per_execution).select([NUMBER.name, SOURCE.name])
        blocks = [part.slice(at, per_block) for at in range(0, part.num_rows, per_block)]
        rows = _dataset(blocks, workers, worker, (settings, begun))
        yield from rows.iter_batches(batch_size=None, batch_format="pyarrow")


def _dataset(
    blocks: list[pa.Table], workers: int, worker: type[ClipWorker], arguments: tuple[Any, ...]
) -> Any:
    # A table's slice would be sent with the whole table.
    clips = ray.data.from_arrow([pa.Table.from_pylist(b.to_pylist(), b.schema) for b in blocks])
    clips.context.enable_progress_bars = False
    clips.context.print_on_execution_start = False
    clips.context.max_consecutive_actor_init_deaths = WORKER_STARTS
    # Workers wait for servers, and say themselves when it is too long.
    clips.context.execution_no_progress_timeout_s = -1
    return clips.map_batches(
        worker,
        batch_size=None,
        batch_format="pyarrow",
        fn_constructor_args=arguments,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=WORKER_CPUS * min(1, processors() / workers),
    )
