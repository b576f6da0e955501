"""Why the server did not start or did not stay up, as types with exit codes of their own.

`python -m server -- COMMAND` returns the code of its command, else one of these: 70 to 79, which
neither `vemoclap` (1 to 39, 130) nor a shell gives.
"""

from vemoclap_client.errors import VemoclapError


class ServerStartError(VemoclapError):
    """Base: the server could not be started, or ended by itself."""

    exit_code = 70


class TritonNotFoundError(ServerStartError):
    """Neither `tritonserver` on PATH nor the nvidia-pytriton wheel is there."""

    exit_code = 71


class LibraryNotFoundError(ServerStartError):
    """A shared library that Triton needs cannot be loaded."""

    exit_code = 72


class PortInUseError(ServerStartError):
    """Another program listens on a given port."""

    exit_code = 73


class WeightsMissingError(ServerStartError):
    """A slot of the model repository has no weights yet."""

    exit_code = 74


class ModelLoadError(ServerStartError):
    """Triton started but could not load every model."""

    exit_code = 75


class ServerDiedError(ServerStartError):
    """Triton ended by itself, again and again."""

    exit_code = 76


class SharedMemoryTooSmallError(ServerStartError):
    """There is too little shared memory for Triton's Python processes."""

    exit_code = 77


class ProfilesMixedError(ServerStartError):
    """The repository's slots are filled from different profiles, or only some at random."""

    exit_code = 78


class UsageError(ServerStartError):
    """The command line is wrong, or names what does not exist."""

    exit_code = 79
