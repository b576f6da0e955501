"""The formats that a timeline can be written in, by name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from vemoclap_client.errors import FormatNotInstalledError
from vemoclap_client.formats.document import format_json
from vemoclap_client.formats.label_studio import format_label_studio
from vemoclap_client.formats.subtitles import format_srt, format_vtt
from vemoclap_client.formats.table import (
    Table,
    faces_table,
    format_csv,
    table_csv,
    utterances_table,
    windows_table,
)
from vemoclap_client.timeline import Timeline


@dataclass(frozen=True)
class Format:
    """What writes a timeline.

    Attributes:
        what: the file holds, for people.
        make: the file's content of a timeline, and of rows per second if these are asked for.
        needs: a module that the extra `research` brings; empty where nothing more is needed.
    """

    what: str
    make: Callable[[Timeline, float | None], str | bytes]
    needs: str = ""


def _eaf(timeline: Timeline, _: float | None) -> str:
    from vemoclap_client.formats.elan import format_eaf

    return format_eaf(timeline)


def _textgrid(timeline: Timeline, _: float | None) -> str:
    from vemoclap_client.formats.praat import format_textgrid

    return format_textgrid(timeline)


def _parquet(table: Callable[[Timeline, float | None], Table]) -> Format:
    def make(timeline: Timeline, fps: float | None) -> bytes:
        from vemoclap_client.formats.parquet import table_parquet

        return table_parquet(table(timeline, fps), timeline)

    return Format("the same as Parquet", make, needs="pyarrow")


def _utterances(timeline: Timeline, _: float | None) -> Table:
    return utterances_table(timeline)


def _faces(timeline: Timeline, _: float | None) -> Table:
    return faces_table(timeline)


FORMATS = {
    "json": Format("everything, as JSON", lambda timeline, _: format_json(timeline)),
    "csv": Format("a row per window, or --fps rows a second, as CSV", format_csv),
    "parquet": _parquet(windows_table),
    "utterances-csv": Format(
        "a row per utterance as CSV", lambda timeline, _: table_csv(utterances_table(timeline))
    ),
    "utterances-parquet": _parquet(_utterances),
    "faces-csv": Format(
        "a row per face of a frame as CSV", lambda timeline, _: table_csv(faces_table(timeline))
    ),
    "faces-parquet": _parquet(_faces),
    "srt": Format("emotions as SubRip subtitles", lambda timeline, _: format_srt(timeline)),
    "vtt": Format("emotions as WebVTT subtitles", lambda timeline, _: format_vtt(timeline)),
    "eaf": Format("annotations for ELAN", _eaf, needs="pympi"),
    "textgrid": Format("a TextGrid for Praat", _textgrid, needs="pympi"),
    "label-studio": Format(
        "a task for Label Studio, with predictions",
        lambda timeline, _: format_label_studio(timeline),
    ),
}
"""Name, as the command's option has it -> the format."""


def check_installed(names: Iterable[str]) -> None:
    """Returns if these formats can be written.

    Raises:
        FormatNotInstalledError: one needs what is not installed.
    """
    for name in names:
        module = FORMATS[name].needs
        if module and find_spec(module) is None:
            raise FormatNotInstalledError(
                f"--{name} needs {module}, which is not installed. Install it: "
                "pip install './client[research]'"
            )
