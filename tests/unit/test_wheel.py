"""The client as others install it: built, then installed alone, outside the checkout.

Packages come from the registry, or from uv's cache, where `make setup` has put them.
"""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest

from requirements.install import pip_settings
from tests.clips import write_clip
from tests.launching import PROJECT
from tests.requiring import require
from vemoclap_client import __version__
from vemoclap_client.errors import (
    BatchNotInstalledError,
    FetchingNotInstalledError,
    ServerUnavailableError,
    VideoNotFoundError,
)

CLIENT = PROJECT / "client"
EXTRAS = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
LARGE = {
    extra
    for extra, packages in EXTRAS.items()
    if any(package.startswith(("deno", "ray", "pyarrow")) for package in packages)
}
"""Extras that are only resolved, as they bring more than 50 MB."""
PINS = ("--constraint", "requirements/development.txt")
"""So that a new release of a dependency does not change the outcome of a test."""
NOBODY = "127.0.0.1:1"


def uv(*arguments: str | Path) -> str:
    """What uv prints, on both of its streams."""
    program = require(PROJECT / "build" / "uv" / "bin" / "uv", "setup")
    done = subprocess.run(
        [program, *arguments],
        cwd=PROJECT,
        env={**os.environ, **pip_settings()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_every_extra_is_in_the_readme() -> None:
    readme = (CLIENT / "README.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE)) == EXTRAS.keys()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source distribution, and the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--out-dir", folder, "client")
    return folder


@dataclass(frozen=True)
class Installed:
    """An environment of its own that has the wheel and what it needs, and nothing else."""

    environment: Path
    wheel: Path
    away: Path
    """An empty folder to run in."""

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A program of the environment, without the checkout on its path."""
        program, *arguments = command
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.away,
            env=clean,
            capture_output=True,
            text=True,
            check=False,
        )

    def install(self, extras: set[str], *options: str) -> str:
        named = f"{self.wheel}[{','.join(sorted(extras))}]" if extras else str(self.wheel)
        python = self.environment / "bin" / "python"
        return uv("pip", "install", "--python", python, *PINS, *options, named)


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    (wheel,) = built.glob("*.whl")
    environment = tmp_path_factory.mktemp("installed") / "environment"
    uv("venv", "--quiet", "--python", sys.executable, environment)
    found = Installed(environment, wheel, tmp_path_factory.mktemp("away"))
    found.install(set())
    return found


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    package = CLIENT / "vemoclap_client"
    kept = [path for path in package.rglob("*") if path.suffix in (".py", ".json", ".typed")]
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = {name for name in names if name.split("/")[0].endswith(".dist-info")}
        assert names - metadata == {str(path.relative_to(CLIENT)) for path in kept}
        licence = f"vemoclap_client-{__version__}.dist-info/licenses/LICENSE"
        assert archive.read(licence) == (PROJECT / "LICENSE").read_bytes()


def test_the_version_has_one_place(built: Path) -> None:
    assert {path.name for path in built.glob("vemoclap*")} == {
        f"vemoclap_client-{__version__}-py3-none-any.whl",
        f"vemoclap_client-{__version__}.tar.gz",
    }
    assert "version" not in tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]


def test_the_source_distribution_has_no_tests_and_no_caches(built: Path) -> None:
    with tarfile.open(built / f"vemoclap_client-{__version__}.tar.gz") as archive:
        names = archive.getnames()
    assert any(name.endswith("schemas/result.schema.json") for name in names)
    assert not [name for name in names if "test" in name or "__pycache__" in name]


def test_the_command_works_without_the_checkout(installed: Installed) -> None:
    clip = write_clip(installed.away / "clip.mp4", seconds=1)
    assert installed.run("vemoclap", "--version").stdout.strip() == f"vemoclap {__version__}"
    assert "classify" in installed.run("vemoclap", "--help").stdout
    missing = installed.run("vemoclap", "classify", "missing.mp4")
    assert missing.returncode == VideoNotFoundError.exit_code
    # It decodes the clip, which needs FFmpeg, before it asks a server, which needs gRPC.
    asked = installed.run("vemoclap", "classify", clip.name, "--url", NOBODY)
    assert asked.returncode == ServerUnavailableError.exit_code, asked.stderr


def test_all_that_is_public_can_be_imported(installed: Installed) -> None:
    program = (
        "import vemoclap_client as package\n"
        "from importlib.metadata import version\n"
        "from importlib.resources import files\n"
        "assert version('vemoclap-client') == package.__version__\n"
        "assert [getattr(package, name) for name in package.__all__]\n"
        "assert (files(package) / 'py.typed').is_file()\n"
        "print((files(package) / 'schemas' / 'result.schema.json').read_text(), end='')\n"
    )
    done = installed.run("python", "-c", program)
    assert done.returncode == 0, done.stderr
    schema = files("vemoclap_client") / "schemas" / "result.schema.json"
    assert done.stdout == schema.read_text()


def test_what_an_extra_brings_is_asked_for_by_its_name_and_then_works(
    installed: Installed,
) -> None:
    before = {
        "completion": installed.run("vemoclap", "--print-completion", "bash"),
        "fetch": installed.run("vemoclap", "fetch", "https://example.org/clip.mp4"),
        "batch": installed.run("vemoclap", "batch", ".", "--out", "results"),
    }
    assert before["fetch"].returncode == FetchingNotInstalledError.exit_code
    assert before["batch"].returncode == BatchNotInstalledError.exit_code
    for extra, done in before.items():
        assert f"client[{extra}]" in done.stderr
    installed.install(EXTRAS.keys() - LARGE)
    completion = installed.run("vemoclap", "--print-completion", "bash")
    assert completion.returncode == 0, completion.stderr
    assert "--continue-on-error" in completion.stdout
    brought = ["yt_dlp", "yt_dlp_ejs", "certifi", "opentelemetry.sdk", "pythonjsonlogger"]
    found = f"from importlib.util import find_spec; assert all(map(find_spec, {brought}))"
    assert installed.run("python", "-c", found).returncode == 0


@pytest.mark.parametrize("extra", sorted(LARGE))
def test_a_large_extra_can_be_resolved(installed: Installed, extra: str) -> None:
    named = re.match(r"[\w-]+", EXTRAS[extra][-1])
    assert named is not None
    planned = installed.install({extra}, "--dry-run")
    assert re.search(rf"^ \+ {named[0]}==", planned, re.MULTILINE), planned
