"""`vemoclap classify`."""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from vemoclap_client.cli._options import add_frame_option, add_server_options, open_client
from vemoclap_client.cli._output import STANDARD_OUTPUT
from vemoclap_client.cli.fetch import add_link_options, open_source, shown_name
from vemoclap_client.cli.render import render_result
from vemoclap_client.client import EmotionClient
from vemoclap_client.errors import FetchError, VemoclapError, VideoError
from vemoclap_client.fetch import is_link
from vemoclap_client.files import check_writable, numbered, write_text
from vemoclap_client.formats.document import format_json
from vemoclap_client.requests import FrameFormat
from vemoclap_client.result import EmotionResult

ANY_NAME = "result.json"
"""Stands for a link's file, whose name is not known before the download."""

CONTINUE_HELP = (
    "go on with the next video after every error. By default an error of a video or a link (1x, "
    "3x) does not stop the others, and any other does, such as one of the server; with "
    "--no-continue-on-error the first error of any kind does. The exit code is the last error's"
)


@dataclass
class Tally:
    """How many videos there are, how many are classified, and which failed, why."""

    count: int
    classified: int = 0
    failed: dict[str, VemoclapError] = field(default_factory=dict)

    def render(self) -> str:
        """The summary, a line for it all and one for each video that failed."""
        counts = [f"{self.classified} of {self.count} videos classified"]
        if self.failed:
            counts.append(f"{len(self.failed)} failed")
        if missed := self.count - self.classified - len(self.failed):
            counts.append(f"{missed} interrupted or not tried")
        # Most errors begin with the video's name.
        reasons = {name: str(e).removeprefix(f"{name}: ") for name, e in self.failed.items()}
        failures = (f"  failed: {name}: {reason}" for name, reason in reasons.items())
        return "\n".join([", ".join(counts), *failures])


def check(options: argparse.Namespace) -> None:
    """Returns if the options fit together.

    Raises:
        ValueError: they do not.
    """
    if options.json and len(options.videos) > 1:
        raise ValueError("--json takes one video; for several use --json-dir")


def run(options: argparse.Namespace) -> int:
    """Classifies every video, and says at the end how many succeeded if there are several.

    Returns:
        The exit code: the last error's, or 0.
    """
    targets = _targets(options)
    tally = Tally(len(targets))
    with open_client(options, FrameFormat(options.frames)) as client:
        try:
            return _classify_all(targets, client, options, tally)
        finally:  # After Ctrl-C, too.
            if tally.count > 1 and not _is_unread(options):
                options.output.note(tally.render())


def _classify_all(
    targets: dict[str, list[Path]],
    client: EmotionClient,
    options: argparse.Namespace,
    tally: Tally,
) -> int:
    exit_code = 0
    for number, video in enumerate(targets, 1):
        name = shown_name(video)
        options.output.task = f"{number} of {tally.count}: {name}" if tally.count > 1 else name
        options.output.progress()
        try:
            result = _classify(video, targets, client, options)
        except VemoclapError as error:
            options.output.say(error)
            tally.failed[name], exit_code = error, error.exit_code
            if not _goes_on(error, options.continue_on_error):
                break
        else:
            tally.classified += 1
            _print(result, options)
        if _is_unread(options):
            break
    return options.output.exit_code or exit_code


def _goes_on(error: VemoclapError, continue_on_error: bool | None) -> bool:
    """Whether the next video follows on an error; see CONTINUE_HELP."""
    if continue_on_error is None:
        return isinstance(error, VideoError | FetchError)
    return continue_on_error


def _is_unread(options: argparse.Namespace) -> bool:
    """Whether nobody will see the results of further videos."""
    return bool(options.output.exit_code and not options.json_dir)


def _classify(
    video: str,
    targets: dict[str, list[Path]],
    client: EmotionClient,
    options: argparse.Namespace,
) -> EmotionResult:
    """Classifies one video and writes its files."""
    with open_source(video, options, client.check_ready) as source:
        result = client.classify(
            source.path, attention=options.attention, audio_track=options.audio_track
        )
    result = replace(result, video=source.name)
    if options.json_dir and is_link(video):
        targets[video].append(_free_target(options.json_dir, source.stem, targets))
    for file in targets[video]:
        write_text(file, format_json(result))
    return result


def _print(result: EmotionResult, options: argparse.Namespace) -> None:
    if options.json == STANDARD_OUTPUT:
        options.output.write(format_json(result))
    else:
        options.output.show(f"{render_result(result)}\n")


def _targets(options: argparse.Namespace) -> dict[str, list[Path]]:
    """Video -> the JSON files to write, all of which can be written.

    A link's file in --json-dir is not among them: its title is not known yet.

    Raises:
        OutputError: a folder cannot be made or written to, or two videos would share a file.
    """
    targets: dict[str, list[Path]] = {video: [] for video in options.videos}
    if options.json and options.json != STANDARD_OUTPUT:
        targets[options.videos[0]].append(options.json)
    if options.json_dir:
        for video in targets:
            if not is_link(video):
                targets[video].append(options.json_dir / f"{Path(video).stem}.json")
        check_writable([options.json_dir / ANY_NAME])
    check_writable(file for written in targets.values() for file in written)
    return targets


def _free_target(folder: Path, stem: str, targets: dict[str, list[Path]]) -> Path:
    """The file for a link of this title: with a number if another video of this run has it."""
    taken = [file for files in targets.values() for file in files]
    names = (folder / f"{name}.json" for name in numbered(stem))
    return next(file for file in names if file not in taken)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds what `classify` takes."""
    command.set_defaults(run=run, check=check)
    command.add_argument("videos", nargs="+", metavar="VIDEO", help="a video file or a link")
    command.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="also write the result there; - for standard output, in place of the text",
    )
    command.add_argument(
        "--json-dir", type=Path, metavar="DIR", help="also write DIR/<video>.json for each video"
    )
    add_frame_option(command)
    command.add_argument(
        "--attention", action="store_true", help="also show which moments the head attended to"
    )
    command.add_argument(
        "--continue-on-error", action=argparse.BooleanOptionalAction, help=CONTINUE_HELP
    )
    add_server_options(command)
    add_link_options(command)
