"""Checks the machine's shared memory."""

import shutil

from server.errors import SharedMemoryTooSmallError
from server.files import SHARED_MEMORY

SHARED_MEMORY_BYTES = 512 * 2**20
"""Tensors pass between Triton and its Python processes through shared memory: 110 MB for one
clip of 640 x 360 frames, 260 MB for four at once. A container's default is 64 MB."""


def shared_memory_size() -> int:
    """Bytes of shared memory, used and free."""
    return shutil.disk_usage(SHARED_MEMORY).total


def check_shared_memory() -> None:
    """Checks that there is shared memory for the tensors of requests.

    Raises:
        SharedMemoryTooSmallError: names its size, and how to get more.
    """
    size = shared_memory_size()
    if size < SHARED_MEMORY_BYTES:
        raise SharedMemoryTooSmallError(
            f"{SHARED_MEMORY} holds {size >> 20} MB, and at least {SHARED_MEMORY_BYTES >> 20} MB "
            "are needed. In a container: --shm-size=1g (docker run), shm_size: 1g (compose), or an "
            "emptyDir of medium Memory there (Kubernetes)."
        )
