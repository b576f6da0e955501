"""Every status that Triton answers with becomes the right error."""

import pytest
from tritonclient.utils import InferenceServerException

from vemoclap_client import errors
from vemoclap_client.status import server_error

CASES = [
    ("UNAVAILABLE", "Exceeds maximum queue size", errors.ServerOverloadedError),
    ("UNAVAILABLE", "Socket closed", errors.ServerLostError),
    ("CANCELLED", "Channel closed", errors.ServerLostError),
    ("DEADLINE_EXCEEDED", "Deadline Exceeded", errors.RequestTimeoutError),
    ("NOT_FOUND", "unknown model: 'vemoclap'", errors.ServerNotReadyError),
    ("INVALID_ARGUMENT", "unexpected shape", errors.RequestRejectedError),
    ("RESOURCE_EXHAUSTED", "message larger than max", errors.RequestRejectedError),
    ("INTERNAL", "face_analyzer: broken", errors.InferenceError),
    ("UNKNOWN", "", errors.InferenceError),
]


@pytest.mark.parametrize(("status", "said", "expected"), CASES)
def test_status_becomes_an_error_that_says_where_and_what(
    status: str, said: str, expected: type[errors.ServerError]
) -> None:
    error = server_error(InferenceServerException(said, f"StatusCode.{status}"), "host:1", 3.0)
    assert type(error) is expected
    assert "host:1" in str(error)
    if expected is not errors.RequestTimeoutError:
        assert (said or "no details") in str(error)


def all_errors(base: type[errors.VemoclapError]) -> list[type[errors.VemoclapError]]:
    return [base, *(sub for child in base.__subclasses__() for sub in all_errors(child))]


def test_every_error_of_the_client_has_an_exit_code_of_its_own() -> None:
    codes = [
        error.exit_code
        for error in all_errors(errors.VemoclapError)
        if error.__module__ == errors.__name__
    ]
    assert len(codes) == len(set(codes)) == 15
    assert not {0, 2} & set(codes)
