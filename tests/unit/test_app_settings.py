"""The app's settings: what is read, what is refused, what the guide says of them."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from ui.settings import Settings, SettingsError
from vemoclap_client.limited import DecodingLimits

PROJECT = Path(__file__).parents[2]
VARIABLE = re.compile(r"VEMOCLAP_[A-Z_]+")


def test_every_setting_can_be_chosen() -> None:
    chosen = Settings.read(
        {
            "VEMOCLAP_APP_DATA": "/data",
            "VEMOCLAP_APP_FOLDER": "/clips",
            "VEMOCLAP_APP_SAMPLES": "/samples",
            "VEMOCLAP_URL": "server:9001",
            "VEMOCLAP_METRICS_URL": "http://server:9002/metrics",
            "VEMOCLAP_APP_UPLOAD_MB": "3",
            "VEMOCLAP_APP_DURATION_S": "4",
            "VEMOCLAP_APP_KEEP_DAYS": "5",
            "VEMOCLAP_APP_WORKERS": "6",
            "VEMOCLAP_APP_WINDOWS": "7",
            "VEMOCLAP_APP_DECODE_S": "12",
            "VEMOCLAP_APP_DECODE_MB": "13",
            "VEMOCLAP_APP_UNPROTECTED": "1",
            "VEMOCLAP_APP_QUEUE": "8",
            "VEMOCLAP_APP_GATEWAY": "1",
            "VEMOCLAP_API_HOSTS": "clips.example",
            "VEMOCLAP_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "VEMOCLAP_WEBHOOK_HOSTS": "hooks.example",
            "VEMOCLAP_APP_SESSION_HOURS": "8",
            "VEMOCLAP_APP_OWNER_JOBS": "9",
            "VEMOCLAP_APP_OWNER_MB": "10",
            "VEMOCLAP_APP_OWNER_UPLOADS": "11",
        }
    )
    default = Settings.read({})
    for field in fields(Settings):
        assert getattr(chosen, field.name) != getattr(default, field.name), field.name
    assert chosen.upload_limit_bytes == 3_000_000
    assert chosen.decoding_limits == DecodingLimits(12, memory_bytes=13_000_000)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "²"])
def test_what_is_no_number_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError, match="VEMOCLAP_APP_WORKERS"):
        Settings.read({"VEMOCLAP_APP_WORKERS": text})


@pytest.mark.parametrize("text", ["whsec_short", "whsec_ä" + "A" * 43, "A" * 44])
def test_a_secret_that_is_none_is_refused_by_name_and_not_shown(text: str) -> None:
    with pytest.raises(SettingsError, match="VEMOCLAP_WEBHOOK_SECRET") as error:
        Settings.read({"VEMOCLAP_WEBHOOK_SECRET": text})
    assert text not in str(error.value)


def test_the_guide_lists_every_variable_with_its_default() -> None:
    guide = (PROJECT / "docs" / "app.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", guide, re.MULTILINE))
    source = (PROJECT / "ui" / "settings.py").read_text(encoding="utf-8")
    assert set(VARIABLE.findall(source)) <= set(rows)
    numbers = {name: int(text) for name, text in rows.items() if text.isdigit()}
    assert numbers == {
        "VEMOCLAP_APP_UPLOAD_MB": Settings.upload_limit_mb,
        "VEMOCLAP_APP_DURATION_S": Settings.duration_limit_s,
        "VEMOCLAP_APP_KEEP_DAYS": Settings.keep_days,
        "VEMOCLAP_APP_WORKERS": Settings.workers,
        "VEMOCLAP_APP_WINDOWS": Settings.windows_at_once,
        "VEMOCLAP_APP_DECODE_S": Settings.decode_s,
        "VEMOCLAP_APP_DECODE_MB": Settings.decode_mb,
        "VEMOCLAP_APP_QUEUE": Settings.queue_limit,
        "VEMOCLAP_APP_SESSION_HOURS": Settings.session_hours,
        "VEMOCLAP_APP_OWNER_JOBS": Settings.owner_jobs,
        "VEMOCLAP_APP_OWNER_MB": Settings.owner_mb,
        "VEMOCLAP_APP_OWNER_UPLOADS": Settings.owner_uploads,
    }
