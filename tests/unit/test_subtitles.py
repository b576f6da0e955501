"""Timelines as SRT, WebVTT and CSV: exact text, and what other programs read in it."""

import csv
from pathlib import Path

import av
import pytest
from av.subtitles.stream import SubtitleStream

from tests.timelines import EVEN, make_timeline, make_window, probabilities
from vemoclap_client.contract import EMOTIONS
from vemoclap_client.files import write_text
from vemoclap_client.formats.subtitles import format_srt, format_vtt, make_cues
from vemoclap_client.formats.table import format_csv
from vemoclap_client.timeline import Timeline

JOY, FEAR = probabilities("joy", 0.82), probabilities("fear", 0.5)


def timeline(*shares: dict[str, float], hop_s: float = 4.0) -> Timeline:
    """Windows of 8 s, one for each set of probabilities."""
    return make_timeline(
        [make_window(i * hop_s, i * hop_s + 8, share) for i, share in enumerate(shares)], hop_s
    )


def cues(made: Timeline) -> list[tuple[int, int, str]]:
    return [(cue.start_ms, cue.end_ms, cue.text) for cue in make_cues(made)]


def test_srt_is_exactly_this() -> None:
    assert format_srt(timeline(JOY, FEAR)) == (
        "1\n00:00:00,000 --> 00:00:06,000\njoy 0.82\n\n"
        "2\n00:00:06,000 --> 00:00:12,000\nfear 0.50\n"
    )


def test_webvtt_is_exactly_this() -> None:
    assert format_vtt(timeline(JOY, FEAR)) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:06.000\njoy 0.82\n\n"
        "00:00:06.000 --> 00:00:12.000\nfear 0.50\n"
    )


def test_neighbours_of_one_emotion_are_one_cue_with_their_mean() -> None:
    found = cues(timeline(JOY, probabilities("joy", 0.42), FEAR, JOY))
    # The first window speaks for 6 s, those within for their 4 s in the middle.
    assert found == [
        (0, 10_000, "joy 0.66"),
        (10_000, 14_000, "fear 0.50"),
        (14_000, 20_000, "joy 0.82"),
    ]


def test_even_windows_have_no_cue_and_part_their_neighbours() -> None:
    assert cues(timeline(JOY, EVEN, JOY)) == [
        (0, 6_000, "joy 0.82"),
        (10_000, 16_000, "joy 0.82"),
    ]


def test_a_timeline_without_cues_is_still_a_file() -> None:
    assert format_srt(timeline(EVEN)) == ""
    assert format_vtt(timeline(EVEN)) == "WEBVTT\n"


def test_a_last_window_that_overlaps_more_shares_the_time() -> None:
    windows = [make_window(0, 8, JOY), make_window(4, 12, JOY), make_window(5.5, 13.5, FEAR)]
    assert cues(make_timeline(windows, 4)) == [
        (0, 8_750, "joy 0.82"),
        (8_750, 13_500, "fear 0.50"),
    ]


def test_hours_and_milliseconds() -> None:
    windows = [make_window(0, 2, JOY), make_window(2, 362_437.0625, FEAR)]
    assert format_srt(make_timeline(windows, 1)) == (
        "1\n00:00:00,000 --> 25:10:10,266\njoy 0.82\n\n"
        "2\n25:10:10,266 --> 100:40:37,062\nfear 0.50\n"
    )


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_ffmpeg_reads_the_same_cues(kind: str, tmp_path: Path) -> None:
    shown = timeline(JOY, FEAR, EVEN, JOY)
    file = tmp_path / f"cues.{kind}"
    write_text(file, {"srt": format_srt, "vtt": format_vtt}[kind](shown))
    with av.open(str(file)) as container:
        stream = container.streams[0]
        assert isinstance(stream, SubtitleStream)
        packets = [packet for packet in container.demux(stream) if packet.size]
    assert stream.time_base is not None
    read = [
        (
            round((packet.pts or 0) * stream.time_base * 1000),
            round(((packet.pts or 0) + (packet.duration or 0)) * stream.time_base * 1000),
            bytes(packet).decode(),
        )
        for packet in packets
    ]
    assert read == cues(shown)


def test_csv_reads_back(tmp_path: Path) -> None:
    shown = timeline(JOY, EVEN)
    file = tmp_path / "table.csv"
    write_text(file, format_csv(shown))
    assert file.read_bytes().count(b"\r\n") == file.read_bytes().count(b"\n") == 3
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["start_s", "end_s", "emotion", *EMOTIONS, "valence", "arousal"]
    for row, window in zip(rows, shown.windows, strict=True):
        assert (float(row["start_s"]), float(row["end_s"])) == (window.start_s, window.end_s)
        assert row["emotion"] == (window.emotion or "")
        assert {name: float(row[name]) for name in EMOTIONS} == window.probabilities
        assert float(row["valence"]) == window.valence
        assert float(row["arousal"]) == window.arousal
