"""When the C library gives freed memory back to the system: mallopt(3).

By itself it raises both thresholds to the size of what was freed, and from then on each of its
arenas keeps tensors and messages of that size for later.
"""

import ctypes

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""Of malloc.h."""

TRITON_FREES_BYTES = 2**16
"""What is this large is given back as soon as it is freed, in Triton's own process. gRPC receives
frames into pieces of this size, which else stay between smaller ones that are in use."""

SLOT_FREES_BYTES = 2**20
SLOT_KEEPS_BYTES = 4 * SLOT_FREES_BYTES
"""In the process of a Python slot: this much stays for the pictures of the next frame. Each page of
memory that is given back is filled with zeros by the system when it is needed again."""

NETWORK_FREES_BYTES = 2**25
NETWORK_KEEPS_BYTES = 2 * NETWORK_FREES_BYTES
"""In the process of a slot whose network is computed by CTranslate2, which asks the C library for
the memory of each layer: Whisper's layers need up to 12 MB at once and 72 MB for the attention.
The first is the largest that the C library takes (its DEFAULT_MMAP_THRESHOLD_MAX)."""


def environment() -> dict[str, str]:
    """The environment variables of Triton and, until one of the others is called, of its slots."""
    size = str(TRITON_FREES_BYTES)
    return {"MALLOC_MMAP_THRESHOLD_": size, "MALLOC_TRIM_THRESHOLD_": size}


def keep_for_next_frame() -> None:
    """Sets the thresholds of a slot's process, this one."""
    _set_thresholds(SLOT_FREES_BYTES, SLOT_KEEPS_BYTES)


def keep_for_next_layer() -> None:
    """Sets the thresholds of a process, this one, in which CTranslate2 computes."""
    _set_thresholds(NETWORK_FREES_BYTES, NETWORK_KEEPS_BYTES)


def _set_thresholds(frees_bytes: int, keeps_bytes: int) -> None:
    c_library = ctypes.CDLL(None)
    c_library.mallopt(MMAP_THRESHOLD, frees_bytes)
    c_library.mallopt(TRIM_THRESHOLD, keeps_bytes)
