"""Options that several commands share."""

import argparse

from vemoclap_client.client import DEFAULT_TIMEOUT_S, default_url
from vemoclap_client.requests import FrameFormat

LONGEST_TIMEOUT_S = 86_400


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
        "--quiet",
        action="store_true",
        help="no text on standard output, no progress, no summary; errors are still printed",
    )
    command.add_argument(
        "--timeout-s", type=_seconds, default=DEFAULT_TIMEOUT_S, help="longest wait (%(default)g)"
    )


def add_frame_option(command: argparse.ArgumentParser) -> None:
    """Adds the option of the commands that send whole clips."""
    command.add_argument(
        "--frames",
        choices=[each.value for each in FrameFormat],
        default=FrameFormat.RAW.value,
        help="how the frames are sent (%(default)s); as JPEG files they are a tenth of the bytes, "
        "and the result is not exactly the same",
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= LONGEST_TIMEOUT_S:
        raise argparse.ArgumentTypeError(f"not between 0 and {LONGEST_TIMEOUT_S} seconds: {text}")
    return value
