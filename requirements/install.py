"""Makes an environment and installs pinned packages into it, by uv: see `make setup`.

    python3.11 requirements/install.py .venv export 'client, export, samples'

installs requirements/export.txt and the client, and prints one line. What the installer prints goes
to a log in build/, which an error quotes. Python's own library is all that it needs; uv itself is
installed by pip, into build/uv.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
BUILD = PROJECT / "build"
UV_RELEASE = "0.13.9"
"""MIT or Apache-2.0. The locks are made with it too."""
LOG_LINES_QUOTED = 15
MEGABYTE = 1_000_000
SAME_SETTING = {
    "index-url": "UV_DEFAULT_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "trusted-host": "UV_INSECURE_HOST",
}
"""pip's setting -> the variable by which uv takes the same, for those behind a mirror."""

AT_ONCE = {"UV_HTTP_RETRIES": "1", "UV_HTTP_TIMEOUT": "15"}
"""Of the attempt with PyTorch's own index: where it cannot be reached, that is soon known."""
FOR_PROCESSORS = ("export",)
"""Locks whose torch is never one for GPUs: `make demo` exports and serves on processors."""
NVIDIA_DRIVER = (Path("/proc/driver/nvidia/version"), Path("/sys/module/nvidia/version"))
"""Where Linux shows a driver's release; under WSL only the program nvidia-smi does."""


class SetupError(Exception):
    """An environment could not be made; the message quotes the log."""


class Step:
    """One line of output, with the time that a step took; its commands' output is in a log."""

    def __init__(self, title: str, log: Path) -> None:
        self._title, self._log, self._started = title, log, time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")

    def run(self, *command: str | Path, environment: dict[str, str] | None = None) -> bool:
        """Runs a command; returns whether it succeeded."""
        with self._log.open("a") as log:
            log.write(f"$ {' '.join(map(str, command))}\n")
            log.flush()
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=PROJECT
            )
            try:
                while process.poll() is None:
                    self._show("...", end="\r" if sys.stderr.isatty() else None)
                    time.sleep(0.2)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        return process.returncode == 0

    def done(self, found: str) -> None:
        """Prints the line."""
        self._show(found, end="\n")

    def failed(self) -> SetupError:
        """The error that quotes the end of the log."""
        lines = self._log.read_text(errors="replace").splitlines()[-LOG_LINES_QUOTED:]
        return SetupError(f"{self._title} failed. The end of {self._log}:\n  " + "\n  ".join(lines))

    def _show(self, text: str, end: str | None) -> None:
        if end is not None:
            seconds = time.monotonic() - self._started
            print(f"setup: {self._title:55} {seconds:4.0f} s  {text}", file=sys.stderr, end=end)


def install(environment: Path, name: str, title: str) -> None:
    """Installs requirements/NAME.txt and the client into an environment.

    The environment is made if it is not there. Of torch, the build of `torch_backend` is
    taken where PyTorch's index can be reached (the one for processors is 4 GB smaller than one with
    CUDA's libraries), else the one in the index that pip is configured to use.

    Raises:
        SetupError: it cannot be had.
    """
    uv = _uv()
    step = Step(f"{environment} ({title})", BUILD / f"setup-{name}.log")
    if not environment.joinpath("bin", "python").exists() and not step.run(
        # export fetches weights with the environment's pip.
        uv, "venv", "--seed", "--allow-existing", "--python", sys.executable, environment
    ):  # fmt: skip
        raise step.failed()
    python, lock = environment / "bin" / "python", PROJECT / "requirements" / f"{name}.txt"
    command = (uv, "pip", "install", "--python", python, "--requirement", lock)
    command = (*command, "--editable", "client")
    settings = {**os.environ, **pip_settings()}
    done = "torch==" in lock.read_text() and step.run(
        *command, "--torch-backend", torch_backend(name), environment={**settings, **AT_ONCE}
    )
    if not done and not step.run(*command, environment=settings):
        raise step.failed()
    step.done(f"{_megabytes(environment):.0f} MB")


def torch_backend(name: str) -> str:
    """The build of torch of a lock: with CUDA where the machine has an NVIDIA driver."""
    if name in FOR_PROCESSORS:
        return "cpu"
    has_driver = any(path.exists() for path in NVIDIA_DRIVER) or shutil.which("nvidia-smi")
    return "auto" if has_driver else "cpu"


def _uv() -> Path:
    uv = BUILD / "uv" / "bin" / "uv"
    if uv.exists() and UV_RELEASE in _output(uv, "--version"):
        return uv
    step = Step(f"uv {UV_RELEASE}, which installs the packages", BUILD / "setup-uv.log")
    shutil.rmtree(BUILD / "uv", ignore_errors=True)
    python = BUILD / "uv" / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input")
    if not step.run(sys.executable, "-m", "venv", BUILD / "uv") or not step.run(
        *pip, f"uv=={UV_RELEASE}"
    ):
        raise step.failed()
    step.done("")
    return uv


def pip_settings() -> dict[str, str]:
    """uv's variables for what pip is configured to use; those that are set already are left."""
    found: dict[str, str] = {}
    lines = _output(sys.executable, "-m", "pip", "config", "list").splitlines()
    # pip prefers the environment's own to those of its files.
    for line in sorted(lines, key=lambda line: not line.startswith(":env:")):
        name, _, value = line.partition("=")
        variable = SAME_SETTING.get(name.rpartition(".")[2])
        if variable is not None and variable not in os.environ:
            found.setdefault(variable, value.strip("'"))
    return found


def _output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _megabytes(folder: Path) -> float:
    sizes = (path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
    return sum(sizes) / MEGABYTE


def main(environment: str, name: str, title: str) -> int:
    """Returns the exit code."""
    try:
        install(Path(environment), name, title)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        print("Check the network and the space on the disk, and run it again.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
