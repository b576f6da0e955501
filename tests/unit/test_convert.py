"""`vemoclap convert`: other formats of a result or a timeline, without a server."""

import importlib.util
import json
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests import schemas
from tests.timelines import make_full_timeline, probabilities
from vemoclap_client.analysis import Head, Speech, SpeechSegment
from vemoclap_client.assembling import timeline_of
from vemoclap_client.cli.main import main
from vemoclap_client.contract import EMOTIONS, EXPRESSIONS, MODALITIES
from vemoclap_client.files import write_text
from vemoclap_client.formats.document import format_json
from vemoclap_client.formats.writing import FORMATS
from vemoclap_client.result import EmotionResult, TimedFace, TimedScreenText, TimedTextLine
from vemoclap_client.spreading import FPS_MAX, ROWS_MAX
from vemoclap_client.timeline import Timeline

FULL = make_full_timeline()
HAPPY = dict.fromkeys(EXPRESSIONS, 0.0) | {"happy": 1.0}
RESULT = EmotionResult(
    video="clip.mp4",
    duration_s=12.0,
    frame_times_s=tuple(0.75 * i for i in range(16)),
    profile="embedded",
    head=Head("zero-shot", None),
    probabilities=probabilities("joy", 0.75),
    contributions={modality: dict.fromkeys(EMOTIONS, 0.0) for modality in MODALITIES},
    faces=(TimedFace(2, (0.25, 0.25, 0.5, 0.75), 0.98, HAPPY, 1.5),),
    speech=Speech(
        text="One. Two.",
        language="en",
        language_probability=0.99,
        segments=(SpeechSegment(0.5, 3.0, "One."), SpeechSegment(3.0, 6.0, "Two.")),
        sentiment=None,
    ),
    screen_text=TimedScreenText(
        "the end", "en", (TimedTextLine(14, (0.3, 0.8, 0.7, 0.9), "The end", 0.95, 10.5),), None
    ),
    audio_events=(),
    absent={},
    timings_ms={},
    warnings=(),
)
TEXT_FORMATS = [name for name in FORMATS if not name.endswith("parquet")]


@pytest.fixture
def document(tmp_path: Path) -> str:
    """The file of a timeline."""
    file = tmp_path / "clip.json"
    file.write_text(format_json(FULL))
    return str(file)


def test_every_format_is_written(document: str, tmp_path: Path) -> None:
    files = {name: tmp_path / "out" / name for name in FORMATS}
    options = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    assert main(["convert", document, *options, "--fps", "4"]) == 0
    for name, file in files.items():
        content = FORMATS[name].make(FULL, 4)
        expected = content if isinstance(content, bytes) else content.encode()
        if name == "eaf":  # It says when it was written.
            assert file.read_bytes().count(b"<ANNOTATION>") == expected.count(b"<ANNOTATION>")
        else:
            assert file.read_bytes() == expected


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_a_text_can_go_to_standard_output(
    name: str, document: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", document, f"--{name}", "-"]) == 0
    content = str(FORMATS[name].make(FULL, None))
    assert capsys.readouterr().out.count("\n") == content.count("\n")


def test_a_result_is_a_timeline_of_one_window(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(format_json(RESULT))
    command = ["convert", str(tmp_path / "result.json"), "--json", str(tmp_path / "timeline.json")]
    assert main([*command, "--video", "other.mp4"]) == 0
    written = json.loads((tmp_path / "timeline.json").read_text())
    schemas.check(written, "timeline")
    (window,) = written["windows"]
    assert (written["video"], window["emotion"]) == ("other.mp4", "joy")
    assert (window["start_s"], window["end_s"]) == (0, 12)
    (face,) = written["faces"]
    # A face of before result schema 1.4 has no track: it is one of its own.
    assert (face["time_s"], face["track"]) == (1.5, 1)
    assert [(each["start_s"], each["emotion"]) for each in written["utterances"]] == [
        (0.5, "joy"),
        (3.0, "joy"),
    ]
    assert written["screen_texts"] == [{"start_s": 10.5, "end_s": 11.25, "lines": ["The end"]}]


def test_a_frame_that_a_short_clip_shows_twice_is_there_once() -> None:
    (face,) = RESULT.faces
    twice = tuple(replace(face, frame=frame, time_s=0.5, track=1) for frame in (2, 3))
    times_s = (0.0, 0.25, 0.5, *[0.5 + i / 4 for i in range(13)])
    short = replace(RESULT, faces=twice, frame_times_s=times_s)
    assert [face.time_s for face in timeline_of(short, 12, 12).faces] == [0.5]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "name the file to write"),
        (["--csv", "a.csv", "--fps", "0"], "--fps: there can be more than 0"),
        (["--csv", "a.csv", "--fps", str(FPS_MAX + 1)], "at most 100 rows a second"),
        (["--srt", "a.srt", "--fps", "5"], "--fps is for --csv and --parquet"),
        (["--faces-parquet", "-"], "cannot be written to standard output"),
        (["--json", "-", "--csv", "-"], "only one file"),
    ],
)
def test_wrong_options_are_refused(
    options: list[str], said: str, document: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["convert", document, *options])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("document", [RESULT, FULL], ids=["result", "timeline"])
def test_a_name_that_is_no_text_is_written_as_one_and_read_again(
    document: EmotionResult | Timeline, tmp_path: Path
) -> None:
    odd, shown = os.fsdecode(b"caf\xe9.mp4"), r"caf\xe9.mp4"
    source, target = tmp_path / "source.json", tmp_path / "target.json"
    write_text(source, format_json(replace(document, video=odd)))
    assert main(["convert", str(source), "--json", str(target), "--eaf", str(tmp_path / "a")]) == 0
    assert json.loads(target.read_text())["video"] == shown
    assert main(["convert", str(source), "--json", str(target), "--video", f"new_{odd}"]) == 0
    assert json.loads(target.read_text())["video"] == f"new_{shown}"


def test_missing_traces_are_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # As if it were not installed.
    for options, count in (((), 1), (("--quiet",), 0)):
        assert main(["convert", "missing.json", "--csv", "a.csv", *options]) == 4
        assert capsys.readouterr().err.count("client[traces]") == count


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("{", "no JSON: Input data was truncated\n"),
        ("no", "is no JSON"),
        ('{"schema_version": "2.0", "windows": []}', "schema_version"),
        ('{"schema_version": "1.1"}', "missing required field"),
        ('{"schema_version": "1.1"}', "may be of two releases"),
        (format_json(replace(FULL, windows=())), "no windows"),
    ],
)
def test_what_is_no_document_is_an_error_that_names_the_file(
    text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "document.json"
    if text is not None:
        file.write_text(text)
    assert main(["convert", str(file), "--csv", str(tmp_path / "a.csv")]) == 4
    error = capsys.readouterr().err
    assert str(file) in error
    assert said in error
    assert not (tmp_path / "a.csv").exists()


def test_too_many_rows_leave_no_file(
    document: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = replace(FULL, duration_s=ROWS_MAX / FPS_MAX + 1)
    Path(document).write_text(format_json(long))
    files = ["--csv", str(tmp_path / "a.csv"), "--srt", str(tmp_path / "a.srt")]
    assert main(["convert", document, *files, "--fps", "100"]) == 3
    assert "smaller --fps" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["clip.json"]


@pytest.mark.parametrize(
    ("option", "module"), [("eaf", "pympi"), ("textgrid", "pympi"), ("faces-parquet", "pyarrow")]
)
def test_a_missing_extra_is_named_before_any_work(
    option: str,
    module: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == module else found(name, package)

    monkeypatch.setattr("vemoclap_client.formats.writing.find_spec", find)
    for command in ("convert", "timeline"):
        # Neither the file nor a server is there; what is missing is said first.
        assert main([command, "nothing.mp4", f"--{option}", str(tmp_path / "a")]) == 5
        said = capsys.readouterr().err
        assert f"--{option} needs {module}" in said
        assert "pip install './client[research]'" in said
