"""What export and training import is declared, not merely brought by something else."""

import re
import sys
from importlib.metadata import packages_distributions

import pytest

from tests.unit.test_structure import PACKAGES, PROJECT, imports, modules


def declared(name: str) -> set[str]:
    """The distributions that requirements/<name> names, and those of the files it includes."""
    found = set()
    for line in (PROJECT / "requirements" / name).read_text().splitlines():
        if line.startswith("-r "):
            found |= declared(line.removeprefix("-r "))
        elif match := re.match(r"[\w.-]+", line):
            found.add(match[0].lower().replace("_", "-"))
    return found


@pytest.mark.parametrize("package", ["export", "training"])
def test_every_import_is_declared(package: str) -> None:
    names = {name.split(".")[0] for path in modules(package) for name in imports(path)}
    others = names - sys.stdlib_module_names - PACKAGES.keys()
    distributions = packages_distributions()
    known = declared("development.in") | {"protobuf"}  # tritonclient's messages are of it
    for name in others:
        brought_by = {found.lower().replace("_", "-") for found in distributions[name]}
        assert brought_by & known, f"{name} is not declared"


@pytest.mark.parametrize("name", ["export", "app"])
def test_what_users_install_is_what_is_tested(name: str) -> None:
    """But for torch, of which the tests need another release: see development.in."""
    tested = pins("development")
    assert {package for package, pin in pins(name).items() if tested[package] != pin} <= {"torch"}


def pins(name: str) -> dict[str, str]:
    """Package -> release of requirements/NAME.txt."""
    lines = (PROJECT / "requirements" / f"{name}.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)
