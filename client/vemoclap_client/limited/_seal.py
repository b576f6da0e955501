"""Shuts a process in: limits of the kernel, and a list of the system calls that are left to it.

The list (seccomp) needs no privileges and works in containers, whose own lists allow to make it
shorter; user namespaces are often forbidden there. It lacks whatever opens a file or a socket,
starts a program or reaches another process: what is open already is all that there is.
"""

import ctypes
import errno
import os
import resource
import signal
from contextlib import suppress
from functools import cache
from pathlib import Path

from vemoclap_client.limited.limits import DecodingLimits

LIBRARY = "libseccomp.so.2"
ALLOW = 0x7FFF0000
ERROR = 0x00050000
"""Actions of seccomp; the number of an error is added to the second."""

MASKED_EQUAL = 7
"""Comparison of seccomp: argument & first == second."""

CLONE_THREAD = 0x00010000
PR_SET_PDEATHSIG = 1
OUT_OF_MEMORY_SCORE = b"900"
"""Where memory runs out, the kernel ends a decoder rather than what started it (1000 is most)."""

CALLS = (
    # the file and the pipe that are open
    "read pread64 readv preadv lseek write writev close fstat newfstatat fstat64 "
    # memory
    "brk mmap munmap mremap mprotect madvise "
    # threads
    "futex set_robust_list rseq sched_yield sched_getaffinity exit exit_group "
    "gettid getpid restart_syscall "
    # signals, for itself
    "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack "
    # time and chance
    "clock_gettime clock_getres clock_nanosleep gettimeofday nanosleep getrandom getrusage"
)
"""What decoding needs, by strace. All other calls fail with EPERM."""


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def die_with(parent: int) -> None:
    """Has the kernel end this process when its parent ends, which has this id."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def limit(limits: DecodingLimits, written_bytes: int) -> None:
    """Sets the kernel's limits for this process; `written_bytes` for the largest file."""
    memory_bytes = limits.memory_bytes + _held_bytes()
    for kind, most, hard in (
        # The signal at the first tells what happened, that at the second does not.
        (resource.RLIMIT_CPU, limits.processor_s, limits.processor_s + 1),
        (resource.RLIMIT_DATA, memory_bytes, memory_bytes),
        (resource.RLIMIT_FSIZE, written_bytes, written_bytes),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        with suppress(ValueError, OSError):  # Where a lower limit is set already.
            resource.setrlimit(kind, (most, hard))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(OUT_OF_MEMORY_SCORE)


def _held_bytes() -> int:
    """The memory that RLIMIT_DATA counts so far: of what was imported before the fork."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    return pages * resource.getpagesize()


@cache
def load() -> ctypes.CDLL:
    """The library, loaded.

    Raises:
        OSError: it is not there.
    """
    return ctypes.CDLL(LIBRARY)


def seal() -> None:
    """Leaves this process the calls above, for good.

    Raises:
        OSError: the library or the kernel does not do it.
    """
    library = load()
    library.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ERROR | errno.EPERM)))
    if not rules:
        raise OSError("libseccomp has no memory for its rules")
    for name in CALLS.split():
        _add(library, rules, ALLOW, name)
    _add(library, rules, ALLOW, "clone", _Comparison(0, MASKED_EQUAL, CLONE_THREAD, CLONE_THREAD))
    # Its arguments cannot be looked at; the C library then takes clone.
    _add(library, rules, ERROR | errno.ENOSYS, "clone3")
    failed = -library.seccomp_load(rules)
    library.seccomp_release(rules)
    if failed:
        raise OSError(failed, f"the kernel takes no list of system calls: {os.strerror(failed)}")


def _add(
    library: ctypes.CDLL,
    rules: ctypes.c_void_p,
    action: int,
    name: str,
    *comparisons: _Comparison,
) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number < 0:
        return  # This kind of processor has no such call.
    array = (_Comparison * len(comparisons))(*comparisons)
    failed = -library.seccomp_rule_add_array(
        rules, ctypes.c_uint32(action), number, len(comparisons), array
    )
    if failed:
        raise OSError(failed, f"libseccomp takes no rule for {name}: {os.strerror(failed)}")
