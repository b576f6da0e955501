"""What a server leaves in /dev/shm and the temporary folder, by the pid of its launcher.

Both are removed when a server stops. What a killed launcher could not remove, the next one does.
"""

import re
import shutil
import tempfile
from pathlib import Path

import psutil

SHARED_MEMORY = Path("/dev/shm")
NAME = re.compile(r"vemoclap[-_](\d+)[-_]")


def region_prefix(launcher_pid: int) -> str:
    """Prefix of every shared-memory region of this launcher's server."""
    return f"vemoclap_{launcher_pid}_"


def folder_prefix(launcher_pid: int) -> str:
    """Prefix of this launcher's temporary folder."""
    return f"vemoclap-{launcher_pid}-"


def remove_regions(launcher_pid: int) -> None:
    """Removes the shared-memory regions that a killed server of this launcher left."""
    for region in SHARED_MEMORY.glob(f"{region_prefix(launcher_pid)}*"):
        region.unlink(missing_ok=True)


def sweep() -> None:
    """Removes what launchers left that no longer run."""
    places = (SHARED_MEMORY, Path(tempfile.gettempdir()))
    for path in (path for place in places for path in place.glob("vemoclap[-_]*")):
        match = NAME.match(path.name)
        if match is None or psutil.pid_exists(int(match[1])):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
