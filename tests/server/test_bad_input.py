"""Unusual and broken files against the real server: a clear answer, or a clear error."""

from fractions import Fraction
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
UNUSUAL = {
    "tiny": {"size": (2, 2), "pixel_format": "yuv444p"},
    "narrow": {"size": (64, 2000), "seconds": 1},
    "4K": {"size": (3840, 2160), "seconds": 0.2},
    "10 bit": {"pixel_format": "yuv420p10le", "codec": "libx265"},
    "grey": {"pixel_format": "gray", "codec": "ffv1"},
    "variable rate": {"times_ms": [0, 40, 80, 900, 910, 3000]},
    "rotated": {"rotation": 90},
    "wide pixels": {"pixel_aspect": Fraction(2, 1)},
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_pictures_are_classified(name: str, client: EmotionClient, tmp_path: Path) -> None:
    suffix = ".mkv" if name == "grey" else ".mp4"
    result = classified(client, write_clip(tmp_path / f"clip{suffix}", **UNUSUAL[name]))  # type: ignore[arg-type]
    assert set(result.absent) >= {"audio", "speech", "face"}
    assert result.warnings == ()


def test_a_single_frame(client: EmotionClient, tmp_path: Path) -> None:
    result = classified(client, write_clip(tmp_path / "one.mp4", times_ms=[0]))
    assert result.frame_times_s == (0.0,) * 16


def test_a_tenth_of_a_second(client: EmotionClient, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "short.mp4", seconds=0.1, sound=Tone(seconds=0.1))
    result = classified(client, video)
    assert result.duration_s == pytest.approx(0.1, abs=0.05)
    assert "not longer than 3 s" in result.absent["audio"]


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
    assert printed.err.startswith(f"vemoclap: {tmp_path / 'empty.mp4'}")
    assert [path.name for path in results.iterdir()] == ["good.json"]
