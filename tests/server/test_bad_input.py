"""Unusual and broken files against the real server: a clear answer, or a clear error."""

from pathlib import Path

import pytest

from tests import clips, schemas
from tests.clips import Tone, write_clip
from tests.launching import Launched
from vemoclap_client import EmotionClient, EmotionResult, errors
from vemoclap_client.cli.main import main


def classified(client: EmotionClient, video: Path) -> EmotionResult:
    """The result, after what must hold for every clip."""
    result = client.classify(video)
    schemas.check(result.to_dict(), "result")
    assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert result.video == str(video)
    return result


SOUND = Tone(seconds=5)


@pytest.mark.parametrize("size", [(2, 2), (64, 2000), (3840, 2160)])
def test_unusual_sizes_are_classified(
    size: tuple[int, int], client: EmotionClient, tmp_path: Path
) -> None:
    video = write_clip(tmp_path / "clip.mp4", size=size, seconds=0.2, pixel_format="yuv444p")
    result = classified(client, video)
    assert set(result.absent) >= {"audio", "speech", "face"}
    assert result.warnings == ()


def test_no_sound_track(client: EmotionClient, tmp_path: Path) -> None:
    result = classified(client, write_clip(tmp_path / "mute.mp4"))
    assert "sound" in result.absent["audio"]
    assert result.absent["speech"] == result.absent["audio"]


def test_a_video_cut_off_in_the_middle_is_used_up_to_there(
    client: EmotionClient, tmp_path: Path
) -> None:
    whole = write_clip(
        tmp_path / "whole.mp4", seconds=8, sound=SOUND, container_options={"movflags": "faststart"}
    )
    result = classified(client, clips.cut(whole, tmp_path / "cut.mp4", keep=0.5))
    assert 1 < result.duration_s < 7
    assert any("ends at" in warning for warning in result.warnings)


def test_silence(client: EmotionClient, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "silent.mp4", seconds=5, sound=Tone(seconds=5, amplitude=0))
    result = classified(client, video)
    assert "silent" in result.absent["audio"]
    assert "silent" in result.absent["speech"]


def test_a_broken_file_does_not_stop_the_next(
    server: Launched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, empty = write_clip(tmp_path / "good.mp4", seconds=1), tmp_path / "empty.mp4"
    empty.touch()
    results = tmp_path / "results"
    arguments = [str(empty), str(good), "--json-dir", str(results)]
    code = main(["classify", *arguments, "--url", server.url])
    assert code == errors.EmptyVideoError.exit_code
    printed = capsys.readouterr()
    assert "good.mp4" in printed.out
    said, summary, failed = printed.err.splitlines()
    assert said.startswith(f"vemoclap: {empty}: the file is empty")
    assert summary == "vemoclap: 1 of 2 videos classified, 1 failed"
    assert failed.startswith(f"  failed: {empty}: the file is empty")
    assert [path.name for path in results.iterdir()] == ["good.json"]
