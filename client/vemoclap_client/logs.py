"""Sets up a program's logs: text for people or, on request, a line of JSON per message.

Each line of JSON has time, level, service, logger, message and, where there is one, the request id
(tracing.py); fields that a message is given by `extra` are fields of the line. What may be in a
message is said in docs/observability.md.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum

from vemoclap_client.tracing import REQUEST_ID

FORMAT_VARIABLE = "VEMOCLAP_LOG_FORMAT"


class LogFormat(StrEnum):
    """How messages are written."""

    TEXT = "text"
    JSON = "json"

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "LogFormat":
        """The format that $VEMOCLAP_LOG_FORMAT names, by default text.

        Raises:
            ValueError: it names another one.
        """
        return cls(environment.get(FORMAT_VARIABLE) or cls.TEXT)


class JsonNotInstalledError(ValueError):
    """Logs as JSON are asked for, and the package for them is not installed."""


def set_up_logs(log_format: LogFormat, service: str, text: Sequence[logging.Handler]) -> None:
    """Has all messages of this process from INFO on written, in place of what was set up before.

    Args:
        log_format: text or JSON; JSON goes to standard error.
        service: the name of this process's service, for JSON.
        text: what writes messages as text.

    Raises:
        JsonNotInstalledError: JSON needs python-json-logger (extra `logs`), which is not there.
    """
    handlers = [_json_handler(service)] if log_format is LogFormat.JSON else text
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)


def _json_handler(service: str) -> logging.Handler:
    try:
        from pythonjsonlogger.json import JsonFormatter
    except ImportError as error:
        raise JsonNotInstalledError(
            f"logs as JSON (${FORMAT_VARIABLE}) need an extra: "
            "pip install 'vemoclap-client[logs]', or choose the format text."
        ) from error
    handler = logging.StreamHandler()
    handler.addFilter(_add_context)
    fields = ("time", "levelname", "name", "message")
    renamed = {"levelname": "level", "name": "logger", "exc_info": "traceback"}
    static = {"service": service}
    handler.setFormatter(JsonFormatter(fields, rename_fields=renamed, static_fields=static))
    return handler


def _add_context(record: logging.LogRecord) -> bool:
    """Adds the time and, unless it is known, the request id."""
    record.time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    request_id = REQUEST_ID.get()
    if request_id is not None and not hasattr(record, "request_id"):
        record.request_id = request_id
    return True
