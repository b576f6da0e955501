"""Every status that Triton answers with becomes the right error."""

import re

import pytest
from tritonclient.utils import InferenceServerException

from tests.launching import PROJECT
from vemoclap_client import EmotionClient, errors
from vemoclap_client.cli._output import CLOSED_PIPE
from vemoclap_client.cli.main import EXIT_CODES, INTERRUPTED
from vemoclap_client.contract import BUSY
from vemoclap_client.server_errors import server_error

CASES = [
    ("UNAVAILABLE", "Exceeds maximum queue size", errors.ServerOverloadedError),
    ("UNAVAILABLE", "Request timeout expired", errors.ServerOverloadedError),
    ("INTERNAL", "Request timeout expired", errors.ServerOverloadedError),
    ("UNAVAILABLE", f"{BUSY} 2.5 s: 16 clips", errors.ServerOverloadedError),
    ("", "[request id: 1] Exceeds maximum queue size", errors.ServerOverloadedError),
    ("UNAVAILABLE", "Socket closed", errors.ServerLostError),
    ("CANCELLED", "Channel closed", errors.ServerLostError),
    ("DEADLINE_EXCEEDED", "Deadline Exceeded", errors.RequestTimeoutError),
    ("NOT_FOUND", "unknown model: 'vemoclap'", errors.ServerNotReadyError),
    ("", "Request for unknown model: 'vemoclap_stream' is not found", errors.ServerNotReadyError),
    ("INVALID_ARGUMENT", "unexpected shape", errors.RequestRejectedError),
    ("RESOURCE_EXHAUSTED", "message larger than max", errors.RequestRejectedError),
    ("UNAUTHENTICATED", "no token, or one that is not known", errors.AccessDeniedError),
    ("PERMISSION_DENIED", "only inference and health", errors.AccessDeniedError),
    ("UNAVAILABLE", "busy: retry after 1 s", errors.ServerOverloadedError),
    ("UNAVAILABLE", "Tls handshake failed (TSI_PROTOCOL_FAILURE)", errors.CertificateError),
    ("UNAVAILABLE", "last error: UNAVAILABLE: ipv4:1: Socket closed", errors.ServerLostError),
    ("UNAVAILABLE", "Hostname Verification Check failed.", errors.CertificateError),
    ("INTERNAL", "face_analyzer: broken", errors.InferenceError),
    ("UNKNOWN", "", errors.InferenceError),
]


@pytest.mark.parametrize(("status", "said", "expected"), CASES)
def test_status_becomes_an_error_that_says_where_and_what(
    status: str, said: str, expected: type[errors.ServerError]
) -> None:
    raised = InferenceServerException(said, f"StatusCode.{status}")
    error = server_error(raised, "host:1", 3.0, connected=True)
    assert type(error) is expected
    assert "host:1" in str(error)
    if expected is not errors.RequestTimeoutError:
        assert (said or "no details") in str(error)


def test_a_server_that_closes_the_first_connection_at_once_wants_a_certificate() -> None:
    said = "last error: UNAVAILABLE: ipv4:1: Socket closed"
    raised = InferenceServerException(said, "StatusCode.UNAVAILABLE")
    error = server_error(raised, "host:1", 3.0, connected=False)
    assert type(error) is errors.CertificateError


def test_a_server_that_never_answered_is_not_there() -> None:
    raised = InferenceServerException("failed to connect", "StatusCode.UNAVAILABLE")
    error = server_error(raised, "host:1", 3.0, connected=False)
    assert type(error) is errors.ServerUnavailableError
    assert "make serve" in str(error)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8001", "grpc://server:1"])
def test_an_address_with_a_scheme_is_refused_with_the_right_form(url: str) -> None:
    with pytest.raises(errors.ServerUnavailableError, match="host:port"):
        EmotionClient(url)


def all_errors(base: type[errors.VemoclapError]) -> list[type[errors.VemoclapError]]:
    return [base, *(sub for child in base.__subclasses__() for sub in all_errors(child))]


def test_every_error_of_the_client_has_an_exit_code_of_its_own() -> None:
    codes = [
        error.exit_code
        for error in all_errors(errors.VemoclapError)
        # Two kinds of one error share its code.
        if error.__module__ == errors.__name__ and "exit_code" in vars(error)
    ]
    assert len(codes) == len(set(codes)) == 38
    assert not {0, 2} & set(codes)
    # The bases VemoclapError, VideoError and ServerError are never raised themselves.
    raised = set(codes) - {1, 10, 20}
    others = {0, 2, INTERRUPTED, CLOSED_PIPE}
    in_help = {int(number) for number in re.findall(r"\b\d+\b", EXIT_CODES)}
    table = (PROJECT / "docs" / "files.md").read_text().split("### Exit codes")[1]
    in_table = {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert in_help == in_table == raised | others
