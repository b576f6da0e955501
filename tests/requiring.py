"""Skips, by name, what a make target has not brought yet."""

from pathlib import Path

import pytest

from tests.launching import PROJECT


def require(path: Path, target: str) -> Path:
    """Skips the test where `make TARGET` has not brought a file yet."""
    if not path.exists():
        pytest.skip(f"{path.relative_to(PROJECT)} is missing: run `make {target}`")
    return path
