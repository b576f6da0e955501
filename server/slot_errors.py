"""Responses with an error, of Python slots and of the Python-based backends."""

from typing import Any

import triton_python_backend_utils as pb_utils

ERROR_DELAY_S = 0.25
"""Triton 2.51 locks up for good when a step of an ensemble answers with an error while the
request's other steps are still being queued, which takes less than this."""

MESSAGE_AT_MOST = 500
"""Characters of an error: gRPC loses those that do not fit into its headers of 8 KB."""
LEFT_OUT = " ... "


class ErrorResponses:
    """Makes a slot's responses with an error, and counts them in a metric: Triton does not.

    Triton 2.51 takes every response of a Python slot for a success.
    """

    METRIC = "vemoclap_slot_errors"

    def __init__(self, slot: str) -> None:
        """Starts the counter of `slot` at 0, when the slot is loaded."""
        # Kept: the counter would end with it.
        self._family = pb_utils.MetricFamily(
            name=self.METRIC,
            description="Requests to which a slot responded with an error",
            kind=pb_utils.MetricFamily.COUNTER,
        )
        self._failed = self._family.Metric(labels={"model": slot})

    def make(self, error: Exception, request: Any) -> Any:
        """A response with the type and message of `error`."""
        message = shortened(f"{type(error).__name__}: {error}")
        self.count(message, request)
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(message))

    def count(self, message: str, request: Any) -> None:
        """Counts a failure, and writes it to Triton's log with the request's id."""
        self._failed.increment(1)
        pb_utils.Logger.log_error(f"[request id: {request.request_id()}] {message}")


def shortened(message: str) -> str:
    """The message, or beginning and end of a long one: TorchScript has the cause at the end."""
    if len(message) <= MESSAGE_AT_MOST:
        return message
    kept = (MESSAGE_AT_MOST - len(LEFT_OUT)) // 2
    return message[:kept] + LEFT_OUT + message[-kept:]
