"""What can go wrong in `python -m export`, as types. Each has the exit code that it ends with.

ExportError
├── UnknownNameError         no such profile, slot, or artifact
├── WeightsError             an artifact cannot be had
│   ├── FetchError           no source could deliver it
│   └── ChecksumError        what was delivered is not the pinned file
├── StorageError             the repository cannot be written
├── CheckpointError          a checkpoint does not fit the network
├── SpecMismatchError        graph, specification and config.pbtxt do not name the same tensors
├── ParityError              the exported network's answers differ from the eager network's
└── LicenceError             a licence must be accepted first
"""

from vemoclap_client.errors import VemoclapError


class ExportError(VemoclapError):
    """Base of every error the export raises on purpose."""

    exit_code = 40


class UnknownNameError(ExportError):
    """There is no profile, slot or artifact of this name."""

    exit_code = 41


class WeightsError(ExportError):
    """An artifact cannot be had."""

    exit_code = 42


class FetchError(WeightsError):
    """No source could deliver the artifact."""

    exit_code = 43


class ChecksumError(WeightsError):
    """What was delivered is not the file that the manifest pins."""

    exit_code = 44


class SpecMismatchError(ExportError):
    """Graph, specification and config.pbtxt do not agree on names, types or dimensions."""

    exit_code = 45


class ParityError(ExportError):
    """The exported network's answers differ from the eager network's by more than allowed."""

    exit_code = 46


class CheckpointError(ExportError):
    """A checkpoint does not fit the network; names the keys that are missing and unexpected."""

    exit_code = 47


class StorageError(ExportError):
    """The model repository cannot be written: a full disk, or no permission."""

    exit_code = 48


class LicenceError(ExportError):
    """What is asked for is under a licence that has not been accepted."""

    exit_code = 49
