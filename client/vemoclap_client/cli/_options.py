"""Options that several commands share."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from vemoclap_client.client import DEFAULT_TIMEOUT_S, EmotionClient, default_url
from vemoclap_client.limited import DecodingLimits, LimitedDecoder
from vemoclap_client.limited.limits import BYTES_PER_MB
from vemoclap_client.requests import FrameFormat

LONGEST_TIMEOUT_S = 86_400
LIMITS = DecodingLimits()


def add_server_options(command: argparse.ArgumentParser) -> None:
    """Adds the options of the commands that ask a server."""
    command.add_argument(
        "--url",
        default=default_url(),
        help="gRPC address, host:port, or several with commas between them ($VEMOCLAP_URL; "
        "%(default)s)",
    )
    command.add_argument(
        "--audio-track",
        type=int,
        metavar="N",
        help="the video's N-th sound track, from 1, in place of the main one",
    )
    command.add_argument(
        "--untrusted",
        action="store_true",
        help="decode in a process that can reach no network and no other file, with at most "
        f"{LIMITS.processor_s} s of processor time and {LIMITS.memory_bytes // BYTES_PER_MB} MB",
    )
    command.add_argument(
        "--quiet",
        action="store_true",
        help="no text on standard output, no progress, no summary; errors are still printed",
    )
    command.add_argument(
        "--timeout-s", type=_seconds, default=DEFAULT_TIMEOUT_S, help="longest wait (%(default)g)"
    )


@contextmanager
def open_client(
    options: argparse.Namespace, frame_format: FrameFormat = FrameFormat.RAW
) -> Iterator[EmotionClient]:
    """A client as these options want it."""
    with (
        LimitedDecoder(LIMITS) as decoder,
        EmotionClient(
            options.url,
            timeout_s=options.timeout_s,
            frame_format=frame_format,
            decoder=decoder if options.untrusted else None,
        ) as client,
    ):
        yield client


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= LONGEST_TIMEOUT_S:
        raise argparse.ArgumentTypeError(f"not between 0 and {LONGEST_TIMEOUT_S} seconds: {text}")
    return value
