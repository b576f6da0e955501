"""The result as files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from ui.jobs.job import Job
from ui.screens.result.picture import picture_png, picture_svg
from vemoclap_client.files import safe_name
from vemoclap_client.formats.document import format_json
from vemoclap_client.formats.subtitles import format_srt, format_vtt
from vemoclap_client.formats.table import format_csv
from vemoclap_client.result import EmotionResult
from vemoclap_client.timeline import Timeline


@dataclass(frozen=True)
class Download:
    """A file that is made when it is asked for.

    Attributes:
        label: for its button.
        file_name: safe on any file system.
        mime: its type.
        make: its contents.
    """

    label: str
    file_name: str
    mime: str
    make: Callable[[], bytes]


def downloads(job: Job) -> list[Download]:
    """The files that can be made of a job as it is; those of a timeline only where it has one."""
    result, timeline = job.result, job.timeline
    stem = safe_name(Path(job.name).stem)
    files = []
    if result is not None:
        files += [
            Download("Result, JSON", f"{stem}.result.json", "application/json", _json(job, result)),
            Download("Picture, PNG", f"{stem}.png", "image/png", _picture(picture_png, job)),
            Download("Picture, SVG", f"{stem}.svg", "image/svg+xml", _picture(picture_svg, job)),
        ]
    if timeline is not None and timeline.windows:
        name = f"{stem}.timeline"
        files += [
            Download("Timeline, JSON", f"{name}.json", "application/json", _json(job, timeline)),
            Download("Timeline, CSV", f"{name}.csv", "text/csv", _text(format_csv, timeline)),
            Download(
                "Subtitles, SRT", f"{stem}.srt", "application/x-subrip", _text(format_srt, timeline)
            ),
            Download("Subtitles, WebVTT", f"{stem}.vtt", "text/vtt", _text(format_vtt, timeline)),
        ]
    return files


def _json(job: Job, document: EmotionResult | Timeline) -> Callable[[], bytes]:
    # The path on the server is nobody's business; the clip's name is what people know it by.
    return lambda: format_json(replace(document, video=job.name)).encode()


def _text(render: Callable[[Timeline], str], timeline: Timeline) -> Callable[[], bytes]:
    return lambda: render(timeline).encode()


def _picture(draw: Callable[[Job], bytes], job: Job) -> Callable[[], bytes]:
    return lambda: draw(job)
