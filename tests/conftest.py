"""Marks tests by the folder they are in."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

KINDS = ("unit", "parity", "server")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in KINDS:
            item.add_marker(folder)
        if item.get_closest_marker("xdist_group") is None:
            # A file's tests share what they have prepared: they go to one process.
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything was set up, a skipped test is a test that did not run."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
    return report
