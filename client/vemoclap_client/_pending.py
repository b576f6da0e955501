"""A window of a timeline that the server works on, and its answer."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from vemoclap_client.errors import ServerError
from vemoclap_client.media.windows import DecodedWindow
from vemoclap_client.requests import parse_result
from vemoclap_client.timeline import Answered, to_answered


@dataclass(frozen=True)
class PendingWindow:
    """A window that the server works on, see in_flight.Pending."""

    stretch: DecodedWindow
    answer: Future[triton.InferResult]
    cancel: Callable[[], None]
    to_error: Callable[[InferenceServerException], ServerError]

    def done(self) -> bool:
        """Whether `result` returns at once."""
        return self.answer.done()

    def result(self) -> Answered:
        """Waits for the answer.

        Raises:
            ServerError: the server could not answer; its kind says why.
        """
        try:
            answer = self.answer.result()
        except InferenceServerException as error:
            raise self.to_error(error) from error
        return read_window(self.stretch, answer)


def without_arrays(stretch: DecodedWindow) -> DecodedWindow:
    """What is still needed of a stretch that was sent: frames and sound are large."""
    clip = replace(
        stretch.clip, frames=np.zeros((0, 0, 0, 3), np.uint8), audio=np.zeros(0, np.float32)
    )
    return replace(stretch, clip=clip)


def read_window(stretch: DecodedWindow, answer: triton.InferResult) -> Answered:
    """The typed window from the ensemble's answer on a stretch of a clip."""
    return to_answered(stretch, parse_result("", stretch.clip, 0.0, answer, 0.0))
