"""What can go wrong, as types. Each has the exit code that the command line ends with.

VemoclapError
├── OutputError                    the result cannot be written
│   └── FormatNotInstalledError    what writes this format, an optional extra, is missing
├── DocumentError                  a document cannot be read, or is of another release
├── VideoError                     this file cannot be classified
│   ├── VideoNotFoundError         no such file, or not a file
│   ├── EmptyVideoError            zero bytes
│   ├── NotAVideoError             no known container
│   ├── NoVideoStreamError         sound only
│   ├── UndecodableVideoError      a video stream of which no frame can be decoded
│   ├── EncryptedVideoError        its pictures are encrypted (DRM)
│   ├── AudioTrackError            it has no sound track of this number
│   └── DecodingLimitError         decoding it needs more time or memory than is allowed
├── ServerError                    the file is fine, the server is not
│   ├── ServerUnavailableError     nothing answers at that address
│   ├── ServerNotReadyError        it answers, but is still loading or misses a model
│   ├── ServerLostError            the connection broke during a request
│   ├── ServerOverloadedError      it has as much to do as it takes
│   ├── RequestTimeoutError        no answer in time
│   ├── RequestRejectedError       it refused the request's tensors
│   ├── InferenceError             a model failed
│   ├── AccessDeniedError          it does not know the token, or does not allow the request
│   └── CertificateError           its certificate, or ours, is not accepted
├── BatchError                     a batch cannot begin or go on; the clips done so far are kept
│   ├── BatchNotInstalledError     Ray, an optional extra, is missing
│   ├── BatchInputError            INPUT is missing, lists no video, or has no such column
│   ├── BatchStoreError            DIR is in use, or holds rows that these do not go with
│   └── WorkerKilledError          one clip's: each process that worked on it was killed or crashed
└── FetchError                     this link cannot be downloaded
    ├── FetchingNotInstalledError  yt-dlp, an optional extra, is missing
    ├── BadLinkError               not an http or https URL
    ├── AddressRefusedError        it leads to a private or local address
    ├── NothingThereError          no such page or host, or no video that can be used
    ├── OverLimitError             more than is allowed
    │   ├── TooLargeError          in bytes
    │   └── TooLongError           in seconds
    ├── JavaScriptNeededError      YouTube needs a JavaScript runtime
    ├── BotCheckError              the site asks whether a person is there
    ├── VideoUnavailableError      private, removed, for members, elsewhere, or live
    └── TransferError              the network failed, or it took too long
"""


class VemoclapError(Exception):
    """Base of every error this package raises on purpose.

    Attributes:
        request_id: of the call that raised it, which the server's logs and traces have, too.
    """

    exit_code = 1
    request_id: str | None = None


class OutputError(VemoclapError):
    """The result cannot be written where it was asked for."""

    exit_code = 3


class FormatNotInstalledError(OutputError):
    """What writes a format is an optional extra, and is not installed."""

    exit_code = 5


class DocumentError(VemoclapError):
    """A document cannot be read, misses a field, has a wrong one, or is of another release."""

    exit_code = 4


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


class EncryptedVideoError(VideoError):
    """The pictures are encrypted (DRM)."""

    exit_code = 16


class AudioTrackError(VideoError):
    """The file has no sound track of the number that was asked for."""

    exit_code = 17


class DecodingLimitError(VideoError):
    """Decoding the file needs more time or memory than is allowed."""

    exit_code = 18


class ServerError(VemoclapError):
    """The server could not answer."""

    exit_code = 20

    def __str__(self) -> str:
        """The message and, for those who look into the server's logs, the request's id."""
        message = super().__str__()
        return f"{message} [request {self.request_id}]" if self.request_id else message


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
    """The server has as much to do as it takes, or the request waited too long in a queue.

    Attributes:
        retry_after_s: when to send it again, if the server says so.
    """

    exit_code = 24

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """Takes what the server said."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RequestTimeoutError(ServerError):
    """The answer did not come in time."""

    exit_code = 25


class RequestRejectedError(ServerError):
    """The server refused the request's tensors."""

    exit_code = 26


class InferenceError(ServerError):
    """A model failed while it worked on the request."""

    exit_code = 27


class AccessDeniedError(ServerError):
    """The token is missing, unknown or unusable, or does not allow the request."""

    exit_code = 28


class CertificateError(ServerError):
    """No encrypted connection: a certificate is missing, unusable or not accepted."""

    exit_code = 29


class FetchError(VemoclapError):
    """The link cannot be downloaded."""

    exit_code = 30


class FetchingNotInstalledError(FetchError):
    """yt-dlp, which knows the sites, is an optional extra and is not installed."""

    exit_code = 31


class BadLinkError(FetchError):
    """It is not an http or https URL."""

    exit_code = 32


class AddressRefusedError(FetchError):
    """It leads, perhaps by a redirect, to an address that is not a public one."""

    exit_code = 33


class NothingThereError(FetchError):
    """There is no such page or host, or no single video that can be used."""

    exit_code = 34


class OverLimitError(FetchError):
    """The video is larger or longer than is allowed."""

    exit_code = 35


class TooLargeError(OverLimitError):
    """The video has more bytes than are allowed."""


class TooLongError(OverLimitError):
    """The video has more seconds than are allowed."""


class JavaScriptNeededError(FetchError):
    """YouTube's pages need a JavaScript runtime, which is not installed."""

    exit_code = 36


class BotCheckError(FetchError):
    """The site wants to be shown that a person asks."""

    exit_code = 37


class VideoUnavailableError(FetchError):
    """The site does not give this video to us: private, removed, members only, live."""

    exit_code = 38


class TransferError(FetchError):
    """The network failed, or the download took too long."""

    exit_code = 39


class BatchError(VemoclapError):
    """A batch cannot begin or go on. The clips done so far are kept: the same command goes on."""

    exit_code = 40


class BatchNotInstalledError(BatchError):
    """Ray, pyarrow and fsspec are an optional extra, and are not installed."""

    exit_code = 41


class BatchInputError(BatchError):
    """The input is missing, lists no video, or is a table without the column `video`."""

    exit_code = 42


class BatchStoreError(BatchError):
    """Another batch writes there, or its rows have other columns, settings or another head."""

    exit_code = 43


class WorkerKilledError(BatchError):
    """Each process that worked on this clip was killed or crashed; the other clips go on."""

    exit_code = 44
