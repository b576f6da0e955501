"""Marks tests by the folder they are in."""

from pathlib import Path

import pytest

KINDS = ("unit", "parity", "server")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in KINDS:
            item.add_marker(folder)
