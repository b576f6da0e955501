"""Finds a Triton to run: NVIDIA's own, else the one inside the nvidia-pytriton wheel."""

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from find_libpython import find_libpython
from tritonclient.grpc.model_config_pb2 import ModelInstanceGroup

from server import memory
from server.errors import LibraryNotFoundError, TritonNotFoundError
from server.threads import has_gpu

PROJECT = Path(__file__).resolve().parent.parent
PYTHON_BASED_BACKENDS = PROJECT / "server" / "backends"
IGNORE_COMPILED = shutil.ignore_patterns("__pycache__")
PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Installation:
    """How to start one Triton.

    Attributes:
        executable: the `tritonserver` program.
        environment: variables its processes need.
        arguments: command-line arguments its layout needs.
        automatic: what KIND_AUTO means for its backends: KIND_CPU or KIND_GPU. Our Python-based
            ones use a GPU only where a variant of the configurations says so, since their packages
            must then be those for GPUs (docs/profiles.md).
    """

    executable: Path
    environment: dict[str, str]
    arguments: list[str] = field(default_factory=list)
    automatic: int = ModelInstanceGroup.KIND_CPU


def find_installation(folder: Path) -> Installation:
    """The Triton to run; the backends of the wheel's Triton are copied to `folder`.

    Raises:
        TritonNotFoundError: there is none.
        LibraryNotFoundError: the wheel's Triton is there, but no shared libpython.
    """
    on_path = shutil.which("tritonserver")
    if on_path:
        # Its stub embeds a Python of its own, which whoever installed it has set up.
        kind = ModelInstanceGroup.KIND_GPU if has_gpu() else ModelInstanceGroup.KIND_CPU
        return Installation(Path(on_path), _environment(), automatic=kind)
    wheel = _find_wheel()
    backends = folder / "backends"
    _lay_out_backends(wheel, backends)
    environment = _environment()
    # The wheel's stub embeds Python and finds its prefix, and so this environment's packages, as
    # the first python3 on PATH.
    _prepend(environment, "PATH", [Path(sys.executable).parent])
    libraries = [wheel.parent.parent / "nvidia_pytriton.libs", _libpython_directory()]
    _prepend(environment, "LD_LIBRARY_PATH", libraries)
    return Installation(
        wheel / "bin" / "tritonserver", environment, [f"--backend-directory={backends}"]
    )


def _find_wheel() -> Path:
    # Found without importing it: pytriton's import starts threads and takes a second.
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise TritonNotFoundError(
            "no Triton found: `tritonserver` is not on PATH and the package nvidia-pytriton is "
            f"not installed for {sys.executable}. Run `make setup`, or start the server with "
            ".venv-server/bin/python -m server."
        )
    return Path(spec.origin).parent / "tritonserver"


def _lay_out_backends(wheel: Path, directory: Path) -> None:
    """Copies the wheel's Python backend and our Python-based backends into one folder.

    Copies, not links: Triton refuses a backend library that lies outside its directory.
    """
    stub = wheel / "python_backend_stubs" / PYTHON_VERSION / "triton_python_backend_stub"
    if not stub.exists():
        raise TritonNotFoundError(
            f"the nvidia-pytriton wheel has no stub for Python {PYTHON_VERSION}; "
            "make .venv-server with Python 3.11 (`make setup PYTHON=python3.11`)."
        )
    shutil.copytree(wheel / "backends" / "python", directory / "python", ignore=IGNORE_COMPILED)
    shutil.copy(stub, directory / "python")
    for backend in PYTHON_BASED_BACKENDS.glob("*/model.py"):
        (directory / backend.parent.name).mkdir()
        shutil.copy(backend, directory / backend.parent.name)


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    # The networks' threads are those of server/threads.py; pools beside them would only compete.
    for pool in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        environment.setdefault(pool, "1")
    return memory.environment() | environment


def _prepend(environment: dict[str, str], name: str, paths: list[Path]) -> None:
    parts = [*map(str, paths), environment.get(name, "")]
    environment[name] = os.pathsep.join(filter(None, parts))


def _libpython_directory() -> Path:
    """Folder of the shared libpython that the wheel's stub is linked against."""
    found = find_libpython()
    if found:
        return Path(found).parent
    cache = _cache_directory() / f"libpython{PYTHON_VERSION}"
    library = f"libpython{PYTHON_VERSION}.so.1.0"
    if not any(cache.rglob(library)):
        _download_libpython(cache)
    return next(cache.rglob(library)).parent


def _cache_directory() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "vemoclap"
    return Path(os.environ.get("VEMOCLAP_CACHE") or default).expanduser()


def _download_libpython(cache: Path) -> None:
    """Unpacks the distribution's libpython into the cache, which needs no root."""
    package = f"libpython{PYTHON_VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory() as directory:
            subprocess.run(
                ["apt-get", "download", package], cwd=directory, check=True, capture_output=True
            )
            for archive in Path(directory).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", archive, cache], check=True, capture_output=True)
        if not any(cache.rglob(f"{package}.so.1.0")):
            raise FileNotFoundError(package)
    except (OSError, subprocess.CalledProcessError) as error:
        raise LibraryNotFoundError(
            f"Triton's Python backend needs the shared library {package}.so.1.0, which this "
            f"Python does not bring. Install it: sudo apt-get install {package}"
        ) from error
