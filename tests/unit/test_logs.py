"""Logs as JSON and as text: of the launcher, of Triton, of the app."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.__main__ import main
from server.errors import UsageError
from server.triton_log import passed_on
from ui.logs import recorded, set_up_observation, take_over_streamlit
from vemoclap_client.logs import JsonNotInstalledError, LogFormat, set_up_logs
from vemoclap_client.tracing import requests_named

TRITON_LOG = """\
I1127 21:39:35.838335 27755 server.cc:604]
+------------------+------+
| Repository Agent | Path |
W1127 21:39:35.9 27755 metrics.cc:798] "DCGM unable to start"
I1127 21:39:36.0 27755 model.cc:1] "loaded"
E1127 21:39:36.1 27755 pb.cc:9] "[request id: 3f2a] FrameError: no JPEG"
of two lines
E1127 21:39:36.2 27755 pb.cc:9] "[request id: <id_unknown>] other"
"""


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a test sets up is taken back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_has_a_line_per_message(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(LogFormat.JSON, "service", [])
    log = logging.getLogger("a.b")
    log.info("two\nlines %d", 1, extra={"seconds": 1.5})
    log.debug("too much")
    with requests_named("chosen"):
        try:
            raise KeyError("x")
        except KeyError:
            log.exception("broken")
    first, second = lines(capsys)
    assert str(first.pop("time"))[10] == "T"
    assert first == {
        "level": "INFO",
        "logger": "a.b",
        "message": "two\nlines 1",
        "seconds": 1.5,
        "service": "service",
    }
    assert (second["level"], second["request_id"]) == ("ERROR", "chosen")
    assert "KeyError: 'x'" in str(second["traceback"])


def test_the_format_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LogFormat.read({}) is LogFormat.TEXT
    assert LogFormat.read({"VEMOCLAP_LOG_FORMAT": "json"}) is LogFormat.JSON
    with pytest.raises(ValueError, match="xml"):
        LogFormat.read({"VEMOCLAP_LOG_FORMAT": "xml"})
    monkeypatch.setenv("VEMOCLAP_LOG_FORMAT", "xml")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == UsageError.exit_code


def test_json_without_its_package_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pythonjsonlogger.json", None)
    with pytest.raises(JsonNotInstalledError, match="logs"):
        set_up_logs(LogFormat.JSON, "service", [])
    assert main(["--log-format", "json"]) == UsageError.exit_code
    assert "pip install" in capsys.readouterr().err


def test_tritons_log_is_passed_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = tmp_path / "triton.log"
    log.touch()
    with caplog.at_level(logging.INFO), passed_on(log, logging.WARNING), log.open("w") as output:
        output.write(TRITON_LOG)
    found = [
        (record.levelname, record.message, getattr(record, "request_id", None))
        for record in caplog.records
    ]
    assert found == [
        ("WARNING", "DCGM unable to start", None),
        ("ERROR", "[request id: 3f2a] FrameError: no JPEG", "3f2a"),
        ("ERROR", "of two lines", None),
        ("ERROR", "[request id: <id_unknown>] other", None),
    ]


def test_all_of_tritons_log_is_passed_on_where_it_is_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "triton.log"
    log.write_text(TRITON_LOG)
    with caplog.at_level(logging.INFO), passed_on(log, logging.INFO):
        pass
    # The first line has no text of its own.
    assert len(caplog.records) == TRITON_LOG.count("\n")


def test_the_app_logs_how_a_job_ends_without_its_whole_id(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VEMOCLAP_LOG_FORMAT", "json")
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    set_up_observation()
    with recorded("classify", "a-secret-identifier", "request"):
        pass
    with (
        pytest.raises(ValueError, match="holiday"),
        recorded("timeline", "a-secret-identifier", "request"),
    ):
        raise ValueError("holiday.mp4")
    done, failed = lines(capsys)
    assert (done["part"], done["outcome"], done["request_id"]) == ("classify", "done", "request")
    assert (failed["part"], failed["outcome"]) == ("timeline", "ValueError")
    for line in (done, failed):
        assert "a-secr" in str(line["message"])
        assert "identifier" not in str(line)
        assert "holiday" not in str(line)


def test_a_line_of_uvicorns_is_written_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uvicorn = logging.getLogger("uvicorn")
    monkeypatch.setattr(uvicorn, "handlers", [logging.StreamHandler()])
    monkeypatch.setattr(uvicorn, "propagate", False)
    monkeypatch.setenv("VEMOCLAP_LOG_FORMAT", "json")
    set_up_observation()
    take_over_streamlit()
    logging.getLogger("uvicorn.error").warning("shutting down")
    (line,) = lines(capsys)
    assert line["message"] == "shutting down"


def test_streamlits_messages_become_the_apps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    streamlit = logging.getLogger("streamlit.test_logs")
    handler = logging.StreamHandler()
    monkeypatch.setattr(streamlit, "streamlit_console_handler", handler, raising=False)
    streamlit.addHandler(handler)
    streamlit.propagate = False
    monkeypatch.setenv("VEMOCLAP_LOG_FORMAT", "json")
    set_up_observation()
    take_over_streamlit()
    streamlit.warning("slow")
    (line,) = lines(capsys)
    assert (line["message"], line["service"]) == ("slow", "vemoclap-app")
