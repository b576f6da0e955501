"""Options that several commands share."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vemoclap_client.channels import default_url
from vemoclap_client.client import EmotionClient
from vemoclap_client.contract import DEFAULT_TIMEOUT_S
from vemoclap_client.credentials import VARIABLES, Credentials
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
    _add_credentials(command)


def _add_credentials(command: argparse.ArgumentParser) -> None:
    """Adds the options of which read_credentials makes Credentials. A token itself is none: other
    users of the machine see a command's arguments."""
    command.add_argument(
        "--tls",
        action="store_true",
        default=None,
        help="encrypt; the options below do so, too ($VEMOCLAP_TLS=1)",
    )
    for name, what in (
        ("tls_root", "PEM file of the authority of the server's certificate"),
        ("tls_certificate", "PEM file of your own certificate, where the server asks for one"),
        ("tls_key", "PEM file of its private key"),
        ("token_file", "file with the token for a gateway, which $VEMOCLAP_TOKEN holds else"),
    ):
        command.add_argument(
            f"--{name.replace('_', '-')}",
            type=Path,
            metavar="FILE",
            help=f"{what} ($VEMOCLAP_{name.upper()})",
        )
    command.add_argument(
        "--tls-name",
        metavar="HOST",
        help="host in the server's certificate, where --url has another ($VEMOCLAP_TLS_NAME)",
    )


def read_credentials(options: argparse.Namespace) -> Credentials:
    """Those of the environment, and of the command line in their place."""
    given = {
        name: getattr(options, variable.removeprefix("VEMOCLAP_").lower(), None)
        for name, variable in VARIABLES.items()
    }
    return replace(Credentials.read(), **{name: value for name, value in given.items() if value})


def add_frame_option(command: argparse.ArgumentParser) -> None:
    """Adds the option of the commands that send whole clips."""
    command.add_argument(
        "--frames",
        choices=[each.value for each in FrameFormat],
        default=FrameFormat.RAW.value,
        help="how the frames are sent (%(default)s); as JPEG files they are a tenth of the bytes, "
        "and the result is not exactly the same",
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
            credentials=read_credentials(options),
        ) as client,
    ):
        yield client


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= LONGEST_TIMEOUT_S:
        raise argparse.ArgumentTypeError(f"not between 0 and {LONGEST_TIMEOUT_S} seconds: {text}")
    return value
