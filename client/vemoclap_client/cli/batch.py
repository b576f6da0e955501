"""`vemoclap batch`."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from vemoclap_client.cli._options import (
    LONGEST_TIMEOUT_S,
    add_frame_option,
    add_server_options,
    read_credentials,
)
from vemoclap_client.cli.fetch import add_link_options, link_limits, shown_name
from vemoclap_client.client import EmotionClient
from vemoclap_client.errors import BatchNotInstalledError
from vemoclap_client.requests import FrameFormat

PATIENCE_S = 120.0

RAY_VARIABLES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Ray reports nothing to its makers, and nothing on standard error; its log files are shorter. Read
when Ray is imported; who sets them decides."""


def run(options: argparse.Namespace) -> int:
    """Classifies all clips that have no row yet; 0 if every clip then has one, failed or not."""
    for name, value in RAY_VARIABLES.items():
        os.environ.setdefault(name, value)
    try:
        from vemoclap_client.batch.running import Batch
        from vemoclap_client.batch.worker import Settings
    except ImportError as error:
        raise BatchNotInstalledError(
            f"batches need Ray, pyarrow and fsspec ({error}). Install them: "
            f"{shlex.quote(sys.executable)} -m pip install --editable './client[batch]'"
        ) from error
    credentials = read_credentials(options)
    EmotionClient(options.url, credentials=credentials).close()  # Says at once if it is no address.
    settings = Settings(
        options.url,
        options.timeout_s,
        options.patience_s,
        FrameFormat(options.frames),
        options.audio_track,
        options.features,
        link_limits(options),
        options.cookies,
        credentials,
        options.untrusted,
    )
    batch = Batch(
        options.input,
        options.out,
        settings,
        options.workers,
        options.ray_address,
        options.retry_failed,
    )
    options.output.task = shown_name(options.input)
    tally = batch.run(options.output.note, options.output.progress)
    options.output.note(tally.render())
    return 0


def check(options: argparse.Namespace) -> None:
    """Returns if the options fit together.

    Raises:
        ValueError: they do not.
    """
    if options.workers is not None and options.workers < 1:
        raise ValueError(f"--workers: not above 0: {options.workers}")
    if not 0 <= options.patience_s <= LONGEST_TIMEOUT_S:
        raise ValueError(
            f"--patience-s: not between 0 and {LONGEST_TIMEOUT_S} seconds: {options.patience_s}"
        )


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds what `batch` takes."""
    command.set_defaults(run=run, check=check)
    command.add_argument(
        "input",
        metavar="INPUT",
        help="a folder, a pattern ('clips/*.mp4'), a table (.csv, .parquet) with a column `video`, "
        "or one of these in object storage (s3://...)",
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for the Parquet files, part-*"
    )
    command.add_argument(
        "--features", action="store_true", help="also write the encoders' features, for training"
    )
    command.add_argument(
        "--retry-failed", action="store_true", help="do the clips again that failed before"
    )
    command.add_argument(
        "--ray-address", metavar="HOST:PORT", help="a cluster of Ray (by default this machine)"
    )
    command.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that decode and ask, each one clip at a time (the cluster's processors)",
    )
    command.add_argument(
        "--patience-s",
        type=float,
        default=PATIENCE_S,
        metavar="N",
        help="how long a clip is tried again while no server answers; then the batch stops, and "
        "can be gone on with (%(default)g). What a server lost or refused as busy is sent again "
        "until --timeout-s",
    )
    add_frame_option(command)
    add_server_options(command)
    add_link_options(command)
