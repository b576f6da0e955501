"""The parts of `vemoclap batch` that need neither Ray's processes nor a server."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import fsspec
import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vemoclap_client import errors
from vemoclap_client.analysis import Head
from vemoclap_client.batch import parts, worker
from vemoclap_client.batch.listing import Listing, list_clips
from vemoclap_client.batch.parts import Parts, open_parts
from vemoclap_client.batch.rows import (
    METADATA,
    SCHEMA_VERSION,
    error_row,
    result_row,
    store_schema,
)
from vemoclap_client.batch.sources import open_source
from vemoclap_client.batch.worker import ClipWorker, Settings
from vemoclap_client.cli.main import main
from vemoclap_client.contract import EMOTIONS, FRAME_COUNT, MODALITIES
from vemoclap_client.fetch import FetchLimits
from vemoclap_client.limited import LimitedDecoder
from vemoclap_client.media.decoder import DecoderHere
from vemoclap_client.result import EmotionResult

SETTINGS = {"frames": "raw", "audio_track": None}
CARRIED = pa.schema([("label", pa.string())])
SCHEMA = store_schema(CARRIED, False, SETTINGS)


def names(listing: Listing) -> list[str]:
    return [str(name) for name in listing.clips["video"].to_pylist()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mp4", "a/c.MKV", ".hidden/d.mp4", "notes.txt", "a/.e.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_is_its_videos_however_deep(folder: Path) -> None:
    listing = list_clips(str(folder))
    assert names(listing) == [str(folder / "a/c.MKV"), str(folder / "b.mp4")]
    assert (listing.ignored, listing.repeated) == (1, 0)


def test_a_pattern_and_a_file_are_what_they_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert names(list_clips("*.txt")) == [str(folder / "notes.txt")]
    assert names(list_clips("b.mp4")) == [str(folder / "b.mp4")]


def test_a_table_carries_its_columns(folder: Path) -> None:
    lines = ["video,label,id,day", "0001,joy,0012,2026-01-02", "/x/y.mp4,,NA,", "0001,anger,1,"]
    (folder / "list.csv").write_text("\n".join(lines))
    listing = list_clips(str(folder / "list.csv"))
    assert names(listing) == [str(folder / "0001"), "/x/y.mp4"]
    assert listing.repeated == 1
    # Text as it stands there: 0012 is not 12.
    carried = {name: listing.clips[name].to_pylist() for name in ("label", "id", "day")}
    assert carried == {"label": ["joy", ""], "id": ["0012", "NA"], "day": ["2026-01-02", ""]}
    table = pa.table({"video": ["https://me:secret@site/a.mp4", "a/../b.mp4"], "n": [1, 2]})
    pq.write_table(table, folder / "list.parquet")
    listing = list_clips(str(folder / "list.parquet"))
    assert names(listing) == ["https://site/a.mp4", str(folder / "b.mp4")]
    assert listing.clips["source"][0].as_py() == b"https://me:secret@site/a.mp4"
    assert listing.clips.schema.field("n").type == pa.int64()


def test_object_storage_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    for name in ("/bucket/a.mp4", "/bucket/deep/b.mp4", "/bucket/c.txt"):
        memory.pipe_file(name, b"x")
    memory.pipe_file("/bucket/list.csv", b"video\ndeep/b.mp4\n")
    a, b = "memory:///bucket/a.mp4", "memory:///bucket/deep/b.mp4"
    assert names(list_clips("memory://bucket")) == [a, b]
    assert names(list_clips("memory://bucket/*.mp4")) == [a]
    assert names(list_clips("memory://bucket/list.csv")) == [b]


def test_a_name_that_is_no_text_is_shown_and_found(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/b\xffd.mp4"
    Path(os.fsdecode(odd)).touch()
    clips = list_clips(str(tmp_path)).clips
    assert clips["source"].to_pylist() == [odd]
    assert clips["video"].to_pylist() == [str(tmp_path / "b\\xffd.mp4")]


def test_long_names_stay_whole(tmp_path: Path) -> None:
    long = ["https://site/" + "x" * 3000 + end for end in "ab"]
    (tmp_path / "list.csv").write_text("\n".join(["video", *long]))
    assert names(list_clips(str(tmp_path / "list.csv"))) == long


@pytest.mark.parametrize(
    ("given", "content"),
    [
        ("missing", None),
        ("list.csv", "name\na.mp4\n"),
        ("list.csv", "video,emotion\na.mp4,joy\n"),
        ("list.csv", "video\n"),
        ("list.csv", "video,label\na.mp4,joy\n,joy\n"),
        ("list.parquet", "no table"),
        ("notes.txt/*", None),
        ("nosuch://bucket", None),
    ],
)
def test_an_input_that_is_none_is_said(
    given: str, content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content:
        (tmp_path / given).write_text(content)
    path = given if "://" in given else str(tmp_path / given)
    code = main(["batch", path, "--out", str(tmp_path / "out")])
    assert code == errors.BatchInputError.exit_code
    assert given in capsys.readouterr().err


def test_ray_that_is_not_installed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [each for each in sys.modules if each.startswith("vemoclap_client.batch.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    code = main(["batch", str(tmp_path), "--out", str(tmp_path)])
    assert code == errors.BatchNotInstalledError.exit_code
    said = capsys.readouterr().err
    assert f"{sys.executable} -m pip install --editable './client[batch]'" in said


def result(video: str) -> EmotionResult:
    shares = {emotion: (0.5 if emotion == "joy" else 0.1) for emotion in EMOTIONS}
    return EmotionResult(
        video=video,
        duration_s=2.0,
        frame_times_s=(0.0,) * FRAME_COUNT,
        profile="embedded",
        head=Head("zero-shot", None),
        probabilities=shares,
        contributions={modality: dict.fromkeys(EMOTIONS, 0.0) for modality in MODALITIES},
        faces=(),
        speech=None,
        screen_text=None,
        audio_events=(),
        absent={"face": "no face was found"},
        timings_ms={"decode": 1.0, "request": 2.0},
        warnings=("odd",),
    )


def rows(*videos: str, failed: bool = False, head: str | None = None) -> pa.Table:
    made = []
    for video in videos:
        row = error_row(errors.NotAVideoError("no")) if failed else result_row(result(video))
        made.append({**row, "video": video, "label": "joy"} | ({"head": head} if head else {}))
    return pa.Table.from_pylist(made, schema=SCHEMA)


def stored(folder: Path) -> list[str]:
    found = [pq.read_table(path)["video"].to_pylist() for path in sorted(folder.glob("*.parquet"))]
    return [str(video) for part in found for video in part]


def test_what_is_written_is_read_by_others(tmp_path: Path) -> None:
    with open_parts(tmp_path, SCHEMA) as opened:
        opened.add(rows("a"))
        opened.add(rows("b", failed=True))
    (file,) = tmp_path.glob("*.parquet")
    about = msgspec.json.decode(pq.read_schema(file).metadata[METADATA])
    assert about == {"schema_version": SCHEMA_VERSION, **SETTINGS}
    by_pandas = pd.read_parquet(tmp_path).to_dict("list")
    by_polars = pl.read_parquet(tmp_path / "*.parquet")
    by_duckdb = duckdb.sql(f"select * from '{tmp_path}/*.parquet'").fetchall()
    assert by_polars.schema["probability_joy"] == pl.Float32
    assert by_polars.schema["warnings"] == pl.List(pl.String)
    for read in (by_pandas, by_polars.to_dict(as_series=False)):
        assert read["video"] == ["a", "b"]
        assert read["exit_code"] == [0, 13]
        assert list(read["warnings"][0]) == ["odd"]
        assert read["probability_joy"][0] == pytest.approx(0.5)
    first = dict(zip(SCHEMA.names, by_duckdb[0], strict=True))
    assert (first["video"], first["emotion"], first["absent"]) == ("a", "joy", ["face"])
    assert EmotionResult.from_dict(msgspec.json.decode(first["result"])) == result("a")


def test_a_killed_writer_leaves_whole_parts(tmp_path: Path) -> None:
    """The first rows are there at once, and what was being written is removed."""
    opened = Parts(tmp_path, SCHEMA)
    opened.add(rows("a"))
    opened.add(rows("b"))
    assert stored(tmp_path) == ["a"]
    leftover = tmp_path / ".part-00001.parquet.1234.partial"
    leftover.touch()
    del opened
    with open_parts(tmp_path, SCHEMA) as again:
        assert again.done.to_pylist() == ["a"]
        again.add(rows("b", "c"))
        again.add(rows("d"))
    assert not leftover.exists()
    assert stored(tmp_path) == ["a", "b", "c", "d"]


def test_a_full_part_is_followed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ROWS_PER_PART", 2)
    with open_parts(tmp_path, SCHEMA) as opened:
        for video in "abcde":
            opened.add(rows(video))
    lengths = [pq.read_metadata(path).num_rows for path in sorted(tmp_path.glob("*.parquet"))]
    assert lengths == [2, 2, 1]
    assert stored(tmp_path) == list("abcde")


def test_failed_clips_are_forgotten_on_request(tmp_path: Path) -> None:
    with open_parts(tmp_path, SCHEMA) as opened:
        opened.add(rows("a"))
        opened.add(rows("b", "c", failed=True))
    with open_parts(tmp_path, SCHEMA) as opened:
        opened.forget_failed(pa.chunked_array([["a", "b"]]))  # c is in another INPUT.
        assert opened.done.to_pylist() == ["a", "c"]
    assert stored(tmp_path) == ["a", "c"]


def test_a_part_in_which_all_failed_is_removed(tmp_path: Path) -> None:
    with open_parts(tmp_path, SCHEMA) as opened:
        opened.add(rows("a", failed=True))
    with open_parts(tmp_path, SCHEMA) as opened:
        opened.forget_failed(pa.chunked_array([["a"]]))
        assert opened.done.to_pylist() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.time32("s"), pa.date64(), pa.null()])
def test_a_column_that_parquet_stores_as_another_type_goes_on(
    kind: pa.DataType, tmp_path: Path
) -> None:
    schema = store_schema(pa.schema([("day", kind)]), False, SETTINGS)
    row = rows("a").drop_columns(["label"]).append_column("day", pa.array([None], kind))
    with open_parts(tmp_path, schema) as opened:
        opened.add(row)
    with open_parts(tmp_path, schema) as opened:
        assert opened.done.to_pylist() == ["a"]


def test_retrying_a_folder_of_other_settings_or_a_torn_one_removes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (tmp_path / "a.mp4").touch()
    with open_parts(out, store_schema(pa.schema([]), False, SETTINGS)) as opened:
        opened.add(rows(str(tmp_path / "a.mp4"), failed=True).drop_columns(["label"]))
    (part,) = out.iterdir()
    command = ["batch", str(tmp_path / "a.mp4"), "--out", str(out), "--retry-failed"]
    for content, said in ((part.read_bytes(), "other columns"), (b"PAR1", "cannot be read")):
        part.write_bytes(content)
        assert main([*command, "--features"]) == errors.BatchStoreError.exit_code
        assert said in capsys.readouterr().err
        assert part.read_bytes() == content


def test_rows_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    with open_parts(tmp_path, SCHEMA) as opened:
        opened.add(rows("a"))
        with pytest.raises(errors.BatchStoreError, match="another batch writes"):
            use(tmp_path, SCHEMA)
        with pytest.raises(errors.BatchStoreError, match="head of mine"):
            opened.add(rows("b", head="head of mine"))
    for other in (
        store_schema(CARRIED, True, SETTINGS),
        store_schema(CARRIED, False, {"frames": "jpeg"}),
        store_schema(pa.schema([("label", pa.int64())]), False, SETTINGS),
    ):
        with pytest.raises(errors.BatchStoreError, match="other columns or settings"):
            use(tmp_path, other)
    (tmp_path / "part-00002.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(errors.BatchStoreError, match="cannot be read"):
        use(tmp_path, SCHEMA)
    assert stored_first(tmp_path) == ["a"]


def use(folder: Path, schema: pa.Schema) -> None:
    with open_parts(folder, schema):
        pass


def stored_first(folder: Path) -> Any:
    return pq.read_table(folder / "part-00001.parquet")["video"].to_pylist()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_an_object_is_copied_and_the_copy_removed(temporary: Path) -> None:
    fsspec.filesystem("memory").pipe_file("/bucket/a.mp4", b"content")
    url = "memory://bucket/a.mp4"
    with open_source(url, FetchLimits(), None) as path:
        assert (path.suffix, path.read_bytes()) == (".mp4", b"content")
        assert path.is_relative_to(temporary)
    with (
        pytest.raises(errors.NotAVideoError, match=f"^{url}: no"),
        open_source(url, FetchLimits(), None) as path,
    ):
        raise errors.NotAVideoError(f"{path}: no")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "limits", "error"),
    [
        ("memory://bucket/missing.mp4", FetchLimits(), errors.VideoNotFoundError),
        ("memory://bucket/b.mp4", FetchLimits(size_bytes=3), errors.TooLargeError),
        ("nosuch://bucket/b.mp4", FetchLimits(), errors.TransferError),
    ],
)
def test_an_object_that_cannot_be_copied_is_an_error_of_its_clip(
    url: str, limits: FetchLimits, error: type[errors.VemoclapError], temporary: Path
) -> None:
    fsspec.filesystem("memory").pipe_file("/bucket/b.mp4", b"content")
    with pytest.raises(error, match=url), open_source(url, limits, None):
        pass
    assert list(temporary.iterdir()) == []


SECRET_URLS = ("nosuch://me:secret@host/a.mp4", "https://me:se cret@[host/a.mp4")


@pytest.mark.parametrize("url", SECRET_URLS)
def test_no_row_shows_a_password(url: str) -> None:
    with pytest.raises(errors.FetchError) as caught, open_source(url, FetchLimits(), None):
        pass
    message = error_row(caught.value)["error_message"]
    assert "host/a.mp4" in message
    assert "cret" not in message


@pytest.mark.parametrize("given", [SECRET_URLS[0], "memory://me:secret@bucket/none"])
def test_no_message_about_the_input_shows_a_password(
    given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["batch", given, "--out", str(tmp_path / "out")])
    assert code == errors.BatchInputError.exit_code
    assert "secret" not in capsys.readouterr().err


class Failing(ClipWorker):
    """Fails in place of asking a server."""

    def fail(self, *failures: type[Exception]) -> None:
        self.failures = list(failures)

    def _classify(self, source: str) -> dict[str, Any]:
        if self.failures:
            raise self.failures.pop(0)(source)
        return {"exit_code": 0}


@pytest.mark.parametrize(
    ("failures", "ends_with"),
    [
        ([errors.ServerLostError, errors.ServerOverloadedError] * 3, None),
        ([errors.InferenceError] * 2, None),
        ([errors.InferenceError] * 3, errors.InferenceError),
        ([errors.RequestRejectedError], errors.RequestRejectedError),
        ([errors.NotAVideoError], errors.NotAVideoError),
    ],
)
def test_what_is_tried_again(
    failures: list[type[errors.VemoclapError]],
    ends_with: type[errors.VemoclapError] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "FIRST_PAUSE_S", 0.001)
    failing = Failing(Settings("127.0.0.1:1", timeout_s=1, patience_s=60), None)
    failing.fail(*failures)
    if ends_with is None:
        assert failing._answer("a.mp4", killed=0) == {"exit_code": 0}
    else:
        with pytest.raises(ends_with):
            failing._answer("a.mp4", killed=0)
    assert failing.failures == []


def make_row(worker_here: ClipWorker, source: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The row that a worker answers with, without Ray."""
    actor = SimpleNamespace(remote=lambda number: 0)
    monkeypatch.setattr(worker.ray, "get", lambda value: value)
    monkeypatch.setattr(worker_here, "_begun", SimpleNamespace(begin=actor, end=actor))
    clips = pa.table({"number": [0], "source": [os.fsencode(source)]})
    (row,) = worker_here(clips).to_pylist()
    return row


def test_an_unexpected_error_is_a_row_and_does_not_end_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing = Failing(Settings("127.0.0.1:1", timeout_s=1, patience_s=1), None)
    failing.fail(ZeroDivisionError)
    row = make_row(failing, "s3://me:secret@bucket/a.mp4", monkeypatch)
    assert (row["exit_code"], row["error_type"], row["stops"]) == (1, "ZeroDivisionError", False)
    assert row["error_message"] == "s3://bucket/a.mp4"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (os.fsdecode(b"/x/caf\xe9.mp4"), "/x/caf\\xe9.mp4"),
        ("memory://me:secret@bucket/a.mp4", "memory://bucket/a.mp4"),
    ],
)
def test_a_row_names_its_clip_and_no_temporary_file(
    source: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.filesystem("memory").pipe_file("/me:secret@bucket/a.mp4", b"content")
    here = ClipWorker(Settings("127.0.0.1:1", timeout_s=1, patience_s=1), None)
    monkeypatch.setattr(here._client, "classify", lambda path, audio_track: result(str(path)))
    row = make_row(here, source, monkeypatch)
    assert msgspec.json.decode(row["result"])["video"] == shown

    def fail(path: Path, audio_track: None) -> None:
        raise errors.NotAVideoError(f"{path}: no")

    monkeypatch.setattr(here._client, "classify", fail)
    assert make_row(here, source, monkeypatch)["error_message"] == f"{shown}: no"


def test_quiet_leaves_only_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.csv").write_text("video,label\n/a,joy\n/a,joy\n")
    with open_parts(tmp_path / "out", SCHEMA) as opened:
        opened.add(rows("/a"))
    command = ["batch", str(tmp_path / "list.csv"), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    said = "vemoclap: listed more than once, and done once: 1\nvemoclap: 1 of 1 clips"
    assert capsys.readouterr().err.startswith(said)
    assert main([*command, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("patience_s", ["nan", "-5", "inf"])
def test_a_patience_that_is_none_is_refused(
    patience_s: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["batch", "clips", "--out", "out", f"--patience-s={patience_s}"])
    assert "--patience-s: not between 0 and 86400 seconds" in capsys.readouterr().err


@pytest.mark.parametrize(("untrusted", "kind"), [(True, LimitedDecoder), (False, DecoderHere)])
def test_a_worker_decodes_with_limits_where_it_is_to(untrusted: bool, kind: type) -> None:
    worker = ClipWorker(Settings("127.0.0.1:1", 1, 1, untrusted=untrusted), None)
    assert isinstance(worker._client.decoder, kind)
