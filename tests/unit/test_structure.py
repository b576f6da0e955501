"""The structure that docs/architecture.md describes: who imports whom, and how long things are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PACKAGES = {
    "vemoclap_client": (PROJECT / "client/vemoclap_client", ()),
    "server": (PROJECT / "server", ("vemoclap_client",)),
    "export": (PROJECT / "export", ("vemoclap_client", "server")),
    "training": (PROJECT / "training", ("vemoclap_client", "export")),
    "ui": (PROJECT / "ui", ("vemoclap_client",)),
}
"""Package -> its folder, and the packages of ours that it may import."""

MODULE_LINES, FUNCTION_LINES = 300, 50


def modules(package: str) -> list[Path]:
    return sorted(PACKAGES[package][0].rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, each with what it takes of it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    allowed = {package, *PACKAGES[package][1]}
    for path in modules(package):
        ours = [name for name in imports(path) if name.split(".")[0] in PACKAGES]
        assert {name.split(".")[0] for name in ours} <= allowed, path
        others = [name for name in ours if name.split(".")[0] != package]
        private = [name for name in others if any(part[0] == "_" for part in name.split("."))]
        assert not private, f"{path} imports private names: {private}"


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_and_functions_are_short(package: str) -> None:
    for path in modules(package):
        text = path.read_text()
        assert len(text.splitlines()) <= MODULE_LINES, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                assert lines <= FUNCTION_LINES, f"{path}:{node.lineno} {node.name}"


WALL_CLOCK = re.compile(r"\btime\.time\(|\bdatetime\.now\(|\bdatetime\.utcnow\(")
AGES_OF_FILES = {"files.py": 1}
"""File -> how often it compares the wall clock with a file's time, which is of the same clock."""


@pytest.mark.parametrize("package", ["server", "vemoclap_client"])
def test_a_clock_that_is_set_changes_no_duration(package: str) -> None:
    """Durations, limits and health are of the monotonic clock."""
    found = {
        path.name: len(WALL_CLOCK.findall(path.read_text()))
        for path in modules(package)
        if WALL_CLOCK.search(path.read_text())
    }
    assert found == (AGES_OF_FILES if package == "vemoclap_client" else {})
