"""Timelines of real clips through the real server."""

import asyncio
import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests import schemas
from tests.clips import write_clip
from tests.launching import Launched, launched
from vemoclap_client import AsyncEmotionClient, EmotionClient, Timeline, Window
from vemoclap_client.cli.main import main
from vemoclap_client.errors import ServerLostError
from vemoclap_client.formats.subtitles import format_srt, format_vtt
from vemoclap_client.media._audio import decode_audio
from vemoclap_client.media.video import Decoded, DecodedClip, decode_frames
from vemoclap_client.requests import build_request, parse_result
from vemoclap_client.result import EmotionResult
from vemoclap_client.sending import send

SLOTS = ("image_encoder", "face_analyzer", "audio_encoder", "speech_recognizer", "fusion")


def counts(server: Launched) -> dict[str, int]:
    """Slot -> the blocks of 16 frames, audio windows, pieces of sound or windows it was sent."""
    return {slot: int(server.statistics(slot)["inference_count"]) for slot in SLOTS}


@dataclass(frozen=True)
class Run:
    """A timeline and what it cost the server."""

    timeline: Timeline
    told: list[tuple[Window, int]]
    rows: dict[str, int]


@pytest.fixture(scope="module")
def portrait(server: Launched, client: EmotionClient, samples: Path) -> Run:
    """12 s of a smiling face that speaks."""
    client.timeline(samples / "title_card.mp4", 6, 6)  # Widths of features are asked for once.
    before = counts(server)
    told: list[tuple[Window, int]] = []
    timeline = client.timeline(
        samples / "portrait.mp4", 4, 2, on_window=lambda window, count: told.append((window, count))
    )
    after = counts(server)
    return Run(timeline, told, {slot: after[slot] - before[slot] for slot in SLOTS})


def test_the_portrait_smiles_in_every_window(portrait: Run) -> None:
    windows = portrait.timeline.windows
    times = [(window.start_s, window.end_s) for window in windows]
    assert times == [(0, 4), (2, 6), (4, 8), (6, 10), (8, 12)]
    assert [window.emotion for window in windows] == ["joy"] * 5
    for window in windows:
        assert window.contributions["face"]["joy"] > 0.1
        assert window.valence > 0.3
        assert window.start_s <= window.frame_times_s[0] < window.frame_times_s[-1] < window.end_s
    assert portrait.told == [(window, 5) for window in windows]


def test_each_window_hears_its_own_words(portrait: Run) -> None:
    heard = [(window.speech or "").lower() for window in portrait.timeline.windows]
    assert "best of times" in heard[0]
    assert "best of times" not in heard[-1]
    assert "epoch" in heard[-1]
    assert "epoch" not in heard[0]


def test_each_frame_and_each_second_of_sound_is_encoded_once(portrait: Run) -> None:
    # 16 frames of the first window, and 8 of each of the other four: three blocks.
    assert portrait.rows == {
        "image_encoder": 3,
        "face_analyzer": 3,
        "audio_encoder": 5,
        "speech_recognizer": 1,
        "fusion": 5,
    }


def classified_alone(client: EmotionClient, video: Path, window: Window) -> EmotionResult:
    """A window of a clip, classified as a clip of its own."""
    length_s = Fraction(window.end_s) - Fraction(window.start_s)
    frames = decode_frames(video, [window.start_s + i * length_s / 16 for i in range(16)])
    sound = decode_audio(video, frames.start_s)
    first, end = round(window.start_s * 16_000), round(window.end_s * 16_000)
    clip = DecodedClip(
        frames=frames.images,
        frame_times_s=frames.times_s,
        audio=sound.samples[first:end],
        audio_absent_reason=sound.absent_reason,
        duration_s=float(length_s),
        width=frames.width,
        height=frames.height,
        warnings=frames.warnings,
    )
    response = send(client._triton, build_request(clip), client.url, client.timeout_s)
    return parse_result(str(video), Decoded(clip, 0.0), response, 0.0)


def test_a_window_is_what_it_is_as_a_clip_of_its_own(client: EmotionClient, samples: Path) -> None:
    video = samples / "title_card.mp4"
    windows = client.timeline(video, 3, 1.5).windows
    assert len(windows) == 3
    for window in windows:
        alone = classified_alone(client, video, window)
        assert alone.screen_text is not None
        assert window.screen_text == alone.screen_text.text
        assert_near(window.probabilities, alone.probabilities)
        assert_near(window.contributions, alone.contributions)
        assert (window.absent, window.head) == (alone.absent, alone.head)
        assert window.frame_times_s == alone.frame_times_s


def test_only_the_words_of_a_window_differ_from_a_clip_of_its_own(
    portrait: Run, client: EmotionClient, samples: Path
) -> None:
    window = portrait.timeline.windows[2]
    alone = classified_alone(client, samples / "portrait.mp4", window)
    assert alone.screen_text is not None
    assert window.screen_text == alone.screen_text.text
    events = [(event.name, event.probability) for event in alone.audio_events]
    found = [(event.name, event.probability) for event in window.audio_events]
    assert_near(dict(found), dict(events))
    assert window.absent == alone.absent
    assert window.emotion == alone.emotion


def test_a_timeline_of_one_window_is_the_classification(
    client: EmotionClient, samples: Path
) -> None:
    video = samples / "portrait.mp4"
    timeline = client.timeline(video, 12, 6)
    result = client.classify(video)
    (window,) = timeline.windows
    assert (window.start_s, window.end_s) == (0, result.duration_s)
    assert window.frame_times_s == result.frame_times_s
    assert result.speech is not None
    assert window.speech == result.speech.text
    assert window.probabilities == pytest.approx(result.probabilities, abs=1e-4)
    assert (window.valence, window.arousal) == pytest.approx(
        (result.valence, result.arousal), abs=1e-4
    )
    assert (window.profile, window.head, window.absent) == (
        result.profile,
        result.head,
        result.absent,
    )


def test_the_command_writes_what_the_clients_answer(
    server: Launched, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = str(samples / "title_card.mp4")
    files = {name: tmp_path / "new" / f"card.{name}" for name in ("json", "csv", "srt", "vtt")}
    options = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    lengths = ["--window-s", "3", "--hop-s", "1.5"]
    assert main(["timeline", video, *lengths, *options, "--url", server.url]) == 0
    printed = capsys.readouterr().out
    assert printed.count("sadness") == 3
    assert "zero-shot" in printed
    assert {file.name for file in (tmp_path / "new").iterdir()} == {
        file.name for file in files.values()
    }

    async def twin() -> Timeline:
        async with AsyncEmotionClient(server.url) as client:
            return await client.timeline(video, 3, 1.5)

    timeline = asyncio.run(twin())
    document = json.loads(files["json"].read_text())
    schemas.check(document, "timeline")
    assert_near(document, json.loads(json.dumps(timeline.to_dict())))
    assert files["srt"].read_text() == format_srt(timeline)
    assert files["vtt"].read_text() == format_vtt(timeline)
    with files["csv"].open(newline="") as lines:
        assert [row["end_s"] for row in csv.DictReader(lines)] == ["3.0", "4.5", "6.0"]


def assert_near(one: Any, other: Any) -> None:
    """Equal, but for the last digits: batches change the order of additions."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_near(value, other[key])
    elif isinstance(one, list):
        for value, twin in zip(one, other, strict=True):
            assert_near(value, twin)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-4)
    else:
        assert one == other


INTERRUPTIBLE = """
import signal, sys
from vemoclap_client.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
"""The command as in a terminal; in the background, shells have SIGINT ignored."""


def test_ctrl_c_leaves_nothing(server: Launched, samples: Path, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "clip.mp4", seconds=30, fps=5)
    command = [sys.executable, "-c", INTERRUPTIBLE, "timeline", video, "--url", server.url]
    lengths = ["--window-s", "1", "--hop-s", "0.25", "--csv", tmp_path / "clip.csv"]
    with subprocess.Popen(
        [*command, *lengths], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "0:00.0 - 0:01.0" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_server_that_is_lost_ends_the_timeline_after_what_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vemoclap_client._retrying.LOST_AT_MOST", 1)
    video = write_clip(tmp_path / "clip.mp4", seconds=30, fps=5)
    with launched(tmp_path) as own, EmotionClient(own.url) as client:
        windows: Iterator[Window] = client.iterate_timeline(video, 1, 0.25)
        first = next(windows)
        os.kill(own.triton_pid, signal.SIGKILL)
        with pytest.raises(ServerLostError):
            list(windows)
    assert (first.start_s, first.end_s) == (0, 1)
