"""`make bench` and `make bench-gpu`: see docs/performance.md."""

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import msgspec

from tests.benchmark.clips import NoClipsError, read_clips
from tests.benchmark.perf_analyzer import write_input
from tests.benchmark.report import render
from tests.benchmark.run import RIVALS, Wanted, run
from tests.benchmark.servers import BUILD, EMBEDDED_REPOSITORY, BaselineError, NotServedError
from tests.launching import PROJECT
from vemoclap_client.files import write_text

NO_GPU = 50
CANNOT_MEASURE = 51
INTERRUPTED = 130
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
PERF_ANALYZER = "perf-analyzer-input"
HAS_GPU = "has-gpu"
LEVELS, GPU_LEVELS = (1, 2, 4, 8, 16), (1, 8, 32, 128)
SAMPLES = PROJECT / "samples"


class NoGpuError(Exception):
    """A GPU is to be measured, and there is none."""


def main(given: Sequence[str]) -> int:
    """Prints the table and writes the JSON.

    Returns:
        0; 50 where a GPU is asked for and there is none; 51 where something cannot be measured; 130
        after Ctrl-C or SIGTERM, when everything that was started is stopped and removed.
    """
    # SIGINT too: a shell's background job would otherwise ignore it.
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        if given and given[0] == PERF_ANALYZER:
            return _write_perf_analyzer_input(given[1:])
        if list(given) == [HAS_GPU]:
            _check_gpu()
            return 0
        return _bench(given)
    except NoGpuError as error:
        print(f"bench: {error}", file=sys.stderr)
        return NO_GPU
    except (NoClipsError, NotServedError, BaselineError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return CANNOT_MEASURE
    except KeyboardInterrupt:
        print("bench: interrupted; nothing was left behind", file=sys.stderr)
        return INTERRUPTED


def _interrupt(signal_number: int, frame: object) -> None:
    # Once is enough: a second signal must not cut off the cleaning up.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _bench(given: Sequence[str]) -> int:
    options = _parser().parse_args(given)
    if options.gpu:
        _check_gpu()
    levels = options.in_flight or (GPU_LEVELS if options.gpu else LEVELS)
    wanted = Wanted(
        repository=options.repository.resolve(),
        clips=tuple(options.clips or [SAMPLES]),
        levels=tuple(sorted(levels)),
        seconds=options.minutes * 60,
        command=shlex.join(["python", "-m", "tests.benchmark", *given]),
        baseline=options.baseline or None,
        baseline_levels=tuple(options.baseline_in_flight),
        rivals=tuple(options.rivals),
        # What is refused as busy would not be measured.
        arguments=(
            "--clips-at-once",
            str(max(levels)),
            *(("--variant", "gpu") if options.gpu else ()),
            *(word for chosen in options.instances for word in ("--instances", chosen)),
        ),
        device="cuda" if options.gpu else "cpu",
    )
    with redirect_stdout(sys.stderr):
        figures = run(wanted)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.json, msgspec.json.format(msgspec.json.encode(figures)).decode())
    print(render(figures))
    return 0


def _check_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        raise NoGpuError(
            f"there is no GPU here: torch {torch.__version__} finds no CUDA device. Nothing was "
            "measured. (`make bench` measures the processors.)"
        )


def _write_perf_analyzer_input(given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(f"python -m tests.benchmark {PERF_ANALYZER}")
    parser.add_argument("clips", nargs="*", type=Path, help="files or folders (default: samples/)")
    parser.add_argument("--out", type=Path, default=BUILD / "perf-analyzer.json")
    options = parser.parse_args(given)
    print(write_input(read_clips(options.clips or [SAMPLES]), options.out))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tests.benchmark",
        description=__doc__,
        epilog=f"python -m tests.benchmark {PERF_ANALYZER}: writes the clips for perf_analyzer.",
    )
    add = parser.add_argument
    add("clips", nargs="*", type=Path, help="files or folders of clips (default: samples/)")
    add("--repository", type=Path, default=PROJECT / EMBEDDED_REPOSITORY)
    add("--baseline", metavar="COMMIT", help="a commit whose server is measured side by side")
    add("--baseline-in-flight", type=int, nargs="+", default=[1, 4], metavar="N")
    add("--in-flight", type=int, nargs="+", metavar="N", help="clips (default: 1 2 4 8 16)")
    add("--minutes", type=float, default=9.0, help="of the whole run, unless once takes longer")
    add(
        "--rivals",
        nargs="*",
        choices=RIVALS,
        default=RIVALS,
        metavar="NAME",
        help=f"of {', '.join(RIVALS)} (default: all); with no name the server alone",
    )
    add("--instances", nargs="+", default=[], metavar="SLOT=N", help="of the server's slots")
    add("--gpu", action="store_true", help="the variant gpu, at 1, 8, 32 and 128 in flight")
    add("--json", type=Path, default=BUILD / "bench.json", help="the figures (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
