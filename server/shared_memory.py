"""Shared-memory regions of Triton's Python backend: named by us, so that none is left behind."""

from pathlib import Path

DIRECTORY = Path("/dev/shm")


def region_prefix(launcher_pid: int) -> str:
    """Prefix of every region of the server that this launcher started."""
    return f"vemoclap_{launcher_pid}_"


def remove_regions(prefix: str) -> list[str]:
    """Removes what a killed server left; returns the names removed."""
    removed = []
    for region in DIRECTORY.glob(f"{prefix}*"):
        region.unlink(missing_ok=True)
        removed.append(region.name)
    return removed
