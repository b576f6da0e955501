"""`vemoclap timeline`."""

import argparse
import time

from msgspec.structs import replace

from vemoclap_client.cli._options import add_server_options, open_client
from vemoclap_client.cli._output import STANDARD_OUTPUT
from vemoclap_client.cli._timeline_files import (
    add_file_options,
    asked_files,
    check_file_options,
    check_files,
    write_files,
)
from vemoclap_client.cli.fetch import add_link_options, open_source, shown_name
from vemoclap_client.cli.render import render_summary, render_window
from vemoclap_client.media.windows import check_lengths
from vemoclap_client.timeline import DEFAULT_HOP_S, DEFAULT_WINDOW_S, Timeline, Window


def check(options: argparse.Namespace) -> None:
    """Returns if the options fit together.

    Raises:
        ValueError: they do not.
    """
    try:
        check_lengths(options.window_s, options.hop_s)
    except ValueError as error:
        raise ValueError(f"--window-s, --hop-s: {error}") from error
    check_file_options(options)


def run(options: argparse.Namespace) -> int:
    """Prints each window as it comes; writes the files once all are known."""
    files = asked_files(options)
    check_files(files)
    is_for_people = STANDARD_OUTPUT not in files.values()
    started = time.perf_counter()
    timeline = _classify(options, is_for_people)
    write_files(timeline, files, options.fps, options.output)
    if is_for_people:
        seconds = time.perf_counter() - started
        options.output.show(f"{render_summary(timeline)}\n  took {seconds:.1f} s")
    return int(options.output.exit_code)


def _classify(options: argparse.Namespace, is_for_people: bool) -> Timeline:
    done = 0

    def show(window: Window, count: int) -> None:
        nonlocal done
        done += 1
        if is_for_people:
            options.output.show(render_window(window))
        options.output.progress(f"{done} of {count} windows")

    options.output.task = shown_name(options.video)
    options.output.progress()
    with (
        open_client(options) as client,
        open_source(options.video, options, client.check_ready) as source,
    ):
        timeline = client.timeline(
            source.path,
            options.window_s,
            options.hop_s,
            on_window=show,
            audio_track=options.audio_track,
        )
        return replace(timeline, video=source.name)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds what `timeline` takes."""
    command.set_defaults(run=run, check=check)
    command.add_argument("video", metavar="VIDEO", help="a video file or a link")
    command.add_argument(
        "--window-s", type=float, default=DEFAULT_WINDOW_S, help="length (%(default)g)"
    )
    command.add_argument(
        "--hop-s", type=float, default=DEFAULT_HOP_S, help="from start to start (%(default)g)"
    )
    add_file_options(command)
    add_server_options(command)
    add_link_options(command)
