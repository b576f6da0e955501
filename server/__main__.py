"""`python -m server`: a Triton on the model repository, until Ctrl-C or for one command."""

import argparse
import math
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

from server.doors import add_door_options, check_doors, read_address, read_tls
from server.errors import ServerStartError, UsageError
from server.health import VARIABLE, HealthFile
from server.installation import PROJECT
from server.keeping import Reporting
from server.limits import choose
from server.messages import STDERR, TextHandler, say
from server.probe import INTERVAL_S
from server.process import ServerOptions
from server.supervision import Supervisor
from server.traces import SERVICE
from vemoclap_client.logs import FORMAT_VARIABLE, JsonNotInstalledError, LogFormat, set_up_logs

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns its exit code."""
    given = _parser().parse_args(arguments)
    # SIGINT too: a shell's background job would otherwise ignore it.
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        set_up_logs(given.log_format, SERVICE, [TextHandler()])
    except JsonNotInstalledError as error:
        print(f"server: {error}", file=sys.stderr)
        return UsageError.exit_code
    say(f"loading {given.model_repository} ...")
    options = ServerOptions(
        given.model_repository.resolve(),
        read_address(given),
        given.startup_timeout_s,
        given.verbose,
        given.variant,
        given.threads,
        dict(given.instances),
        given.log_format is LogFormat.JSON,
        choose(given.clips_at_once, given.mb_at_once, given.clips_waiting, given.mb_waiting),
        read_tls(given),
    )
    supervisor = Supervisor(options, _reporting(given), given.command)
    try:
        _check(given, options)
        supervisor.serve()
    except ServerStartError as error:
        say(str(error), STDERR)
        return error.exit_code
    except KeyboardInterrupt:
        say("stopped")
    return supervisor.exit_code


def _reporting(given: argparse.Namespace) -> Reporting:
    return Reporting(given.ready_file, HealthFile(given.health_file), given.probe_interval_s)


def _check(given: argparse.Namespace, options: ServerOptions) -> None:
    """Raises UsageError for what cannot work, before the server takes its time to start."""
    check_doors(given, options.address, options.tls)
    if given.command and shutil.which(given.command[0]) is None:
        raise UsageError(f"there is no command {given.command[0]!r} to run")
    for option, file in (("--ready-file", given.ready_file), ("--health-file", given.health_file)):
        if file and not file.parent.is_dir():
            raise UsageError(f"{option}: there is no folder {file.parent}")
        if file and file.is_dir():
            raise UsageError(f"{option}: {file} is a folder")


def _interrupt(signal_number: int, frame: object) -> None:
    # Once is enough: a second signal must not cut off the cleaning up.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def natural(text: str) -> int:
    """A whole number of at least 0."""
    return 0 if text == "0" else positive(text)


def seconds(text: str) -> float:
    """A length of time, more than 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a length of time")
    return number


def seconds_or_never(text: str) -> float | None:
    """A length of time; None for 0."""
    return seconds(text) if float(text) else None


def slot_instances(text: str) -> tuple[str, int]:
    """`SLOT=N` as slot and number."""
    slot, found, number = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not SLOT=N")
    return slot, positive(number)


class _Parser(argparse.ArgumentParser):
    """Ends with the launcher's own exit code, since argparse's 2 may be the command's."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(UsageError.exit_code, f"{self.prog}: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m server",
        description="Serve the model repository with Triton: NVIDIA's if `tritonserver` is on "
        "PATH, else the one in the nvidia-pytriton wheel.",
    )
    parser.add_argument("--model-repository", type=Path, default=PROJECT / "model_repository")
    add_door_options(parser)
    parser.add_argument(
        "--variant",
        help="the slots' configurations of this name, where they have one: gpu, tensorrt, "
        "torchscript, torchscript-gpu (default: config.pbtxt)",
    )
    _add_sizes(parser)
    parser.add_argument("--startup-timeout-s", type=seconds, default=180.0)
    parser.add_argument(
        "--ready-file", type=Path, help="JSON with pid and ports, kept while the server is ready"
    )
    _add_health(parser)
    _add_log_options(parser)
    parser.add_argument(
        "command",
        nargs="*",
        metavar="-- COMMAND",
        help="run this with VEMOCLAP_URL and VEMOCLAP_METRICS_URL set, then stop; the exit code is "
        "the command's, 128 + N if signal N ended it; 70 to 79 are the launcher's own",
    )
    return parser


def _add_log_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verbose", action="store_true", help="show Triton's own log")
    parser.add_argument(
        "--log-format",
        type=LogFormat,
        choices=list(LogFormat),
        default=os.environ.get(FORMAT_VARIABLE) or "text",
        help=f"text, or a line of JSON per message on standard error (${FORMAT_VARIABLE})",
    )


def _add_health(parser: argparse.ArgumentParser) -> None:
    """Adds how the server's health is found and where it is said."""
    parser.add_argument(
        "--health-file",
        type=Path,
        default=os.environ.get(VARIABLE) or None,
        help=f"what docker/healthcheck.py reads (default: ${VARIABLE}, else none)",
    )
    parser.add_argument(
        "--probe-interval-s",
        type=seconds_or_never,
        default=INTERVAL_S,
        help="send a small clip through the ensemble when nobody was answered for so long, and "
        "restart a server that is stuck (%(default)s); 0: never",
    )


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    """Adds what is chosen for the machine otherwise."""
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="threads of each network (default: 1, see docs/performance.md)",
    )
    parser.add_argument(
        "--instances",
        type=slot_instances,
        action="append",
        default=[],
        metavar="SLOT=N",
        help="instances of a slot (default: by the processors there are); may be repeated",
    )
    for name, number, what, chosen_by in (
        ("--clips-at-once", positive, "clips at work; others wait", "the processors there are"),
        ("--mb-at-once", positive, "megabytes of their frames and sound", "the memory there is"),
        ("--clips-waiting", natural, "clips that wait", "the processors there are"),
        ("--mb-waiting", natural, "megabytes of their frames and sound", "the memory there is"),
    ):
        parser.add_argument(
            name,
            type=number,
            metavar="N",
            help=f"at most so many {what} (default: by {chosen_by}, see docs/serving.md)",
        )


if __name__ == "__main__":
    sys.exit(main())
