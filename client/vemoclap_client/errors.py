"""What can go wrong, as types. Each has the exit code that the command line ends with.

VemoclapError
├── OutputError                    the result cannot be written
├── VideoError                     this file cannot be classified
│   ├── VideoNotFoundError         no such file, or not a file
│   ├── EmptyVideoError            zero bytes
│   ├── NotAVideoError             no known container
│   ├── NoVideoStreamError         sound only
│   └── UndecodableVideoError      a video stream of which no frame can be decoded
└── ServerError                    the file is fine, the server is not
    ├── ServerUnavailableError     nothing answers at that address
    ├── ServerNotReadyError        it answers, but is still loading or misses a model
    ├── ServerLostError            the connection broke during a request
    ├── ServerOverloadedError      the request waited too long in its queue
    ├── RequestTimeoutError        no answer in time
    ├── RequestRejectedError       it refused the request's tensors
    └── InferenceError             a model failed
"""


class VemoclapError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 1


class OutputError(VemoclapError):
    """The result cannot be written where it was asked for."""

    exit_code = 3


class VideoError(VemoclapError):
    """The file cannot be classified."""

    exit_code = 10


class VideoNotFoundError(VideoError):
    """There is no such file, it is a folder, or it may not be read."""

    exit_code = 11


class EmptyVideoError(VideoError):
    """The file has zero bytes."""

    exit_code = 12


class NotAVideoError(VideoError):
    """The file is in no container format that FFmpeg knows."""

    exit_code = 13


class NoVideoStreamError(VideoError):
    """The file holds sound but no pictures."""

    exit_code = 14


class UndecodableVideoError(VideoError):
    """There is a video stream, but not one frame of it can be decoded."""

    exit_code = 15


class ServerError(VemoclapError):
    """The server could not answer."""

    exit_code = 20


class ServerUnavailableError(ServerError):
    """Nothing answers at the server's address."""

    exit_code = 21


class ServerNotReadyError(ServerError):
    """The server answers, but a model is still loading or missing."""

    exit_code = 22


class ServerLostError(ServerError):
    """The connection broke while the request was under way."""

    exit_code = 23


class ServerOverloadedError(ServerError):
    """The request waited too long in the server's queue, or the queue is full."""

    exit_code = 24


class RequestTimeoutError(ServerError):
    """The answer did not come in time."""

    exit_code = 25


class RequestRejectedError(ServerError):
    """The server refused the request's tensors."""

    exit_code = 26


class InferenceError(ServerError):
    """A model failed while it worked on the request."""

    exit_code = 27
