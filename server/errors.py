"""Why the server did not start or did not stay up. Each has its own exit code."""

from vemoclap_client.errors import VemoclapError


class ServerStartError(VemoclapError):
    """Base: the server could not be started, or ended by itself."""

    exit_code = 30


class TritonNotFoundError(ServerStartError):
    """Neither `tritonserver` on PATH nor the nvidia-pytriton wheel is there."""

    exit_code = 31


class LibraryNotFoundError(ServerStartError):
    """A shared library that Triton needs cannot be loaded."""

    exit_code = 32


class PortInUseError(ServerStartError):
    """Another program listens on a port that was asked for."""

    exit_code = 33


class WeightsMissingError(ServerStartError):
    """A slot of the model repository has no weights yet."""

    exit_code = 34


class ModelLoadError(ServerStartError):
    """Triton started but could not load every model."""

    exit_code = 35


class SharedMemoryTooSmallError(ServerStartError):
    """There is too little shared memory for Triton's Python processes."""

    exit_code = 37


class UsageError(ServerStartError):
    """What the command line asks for cannot be done."""

    exit_code = 2


class ServerDiedError(ServerStartError):
    """Triton ended by itself, again and again."""

    exit_code = 36


class ProfilesMixedError(ServerStartError):
    """The repository's slots are filled from different profiles, or only some at random."""

    exit_code = 38
