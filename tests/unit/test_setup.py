"""`make setup`: what requirements/install.py prints, and how it fails."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from requirements import install
from requirements.install import pip_settings
from tests.launching import PROJECT


def test_what_pip_is_configured_to_use_is_handed_to_uv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://mirror.example/simple\ncert = /no/such.pem\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_CERT", "/the/environment/comes/first.pem")
    monkeypatch.setenv("UV_FIND_LINKS", "/set/already")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    settings = pip_settings()
    assert settings["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert settings["SSL_CERT_FILE"] == "/the/environment/comes/first.pem"
    assert "UV_FIND_LINKS" not in settings


def test_the_sizes_of_the_docs_are_measured_with_a_script_that_runs() -> None:
    done = subprocess.run(
        [sys.executable, "requirements/sizes.py"], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *groups, together = [line.strip("|").split("|")[-1] for line in done.stdout.splitlines()[2:]]
    sizes = [int(cell.strip().replace(",", "") or 0) for cell in groups]
    total = int(together.strip().replace(",", ""))
    assert sizes[0] > 100  # torch
    assert abs(sum(sizes) - total) < len(sizes)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The part of a checkout that set-up uses, with uv as it is installed here."""
    installed = PROJECT / "build" / "uv" / "bin" / "uv"
    if not installed.exists():
        pytest.skip("build/uv is missing: run `make setup`")
    copy = tmp_path / "checkout"
    (copy / "requirements").mkdir(parents=True)
    shutil.copy(PROJECT / "requirements" / "install.py", copy / "requirements")
    (copy / "requirements" / "toy.txt").write_text("vemoclap-no-such-package==1.0\n")
    (copy / "client").mkdir()
    (copy / "client" / "pyproject.toml").write_text('[project]\nname = "toy"\nversion = "1"\n')
    (copy / "build" / "uv" / "bin").mkdir(parents=True)
    (copy / "build" / "uv" / "bin" / "uv").symlink_to(installed)
    return copy


@pytest.mark.parametrize("has_driver", [True, False])
@pytest.mark.parametrize("is_reachable", [True, False])
@pytest.mark.parametrize("lock", ["toy", "export"])
def test_torch_is_the_build_for_the_machine_where_its_own_index_can_be_reached(
    lock: str,
    has_driver: bool,
    is_reachable: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """uv is one that writes down what it is given, and fails where it is to ask that index."""
    for name, text in (("driver", ""), (f"requirements/{lock}.txt", "torch==1.0\n")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    uv = tmp_path / "build" / "uv" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    calls = tmp_path / "calls"
    lines = ["#!/bin/sh", f"[ $1 = --version ] && exec echo uv {install.UV_RELEASE}"]
    lines += [f'echo "$*" >> {calls}']
    lines += [] if is_reachable else ["case $* in *--torch-backend*) exit 1;; esac"]
    uv.write_text("\n".join(lines))
    uv.chmod(0o755)
    monkeypatch.setattr(install, "PROJECT", tmp_path)
    monkeypatch.setattr(install, "BUILD", tmp_path / "build")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    driver = tmp_path / ("driver" if has_driver else "no driver")
    monkeypatch.setattr(install, "NVIDIA_DRIVER", (driver,))
    install.install(tmp_path / "environment", lock, "a toy")
    made, *asked = calls.read_text().splitlines()
    assert made.startswith("venv")
    backend = f"--torch-backend {'auto' if has_driver and lock == 'toy' else 'cpu'}"
    assert [backend in call for call in asked] == ([True] if is_reachable else [True, False])
    assert all(f"requirements/{lock}.txt --editable client" in call for call in asked)


@pytest.mark.parametrize("profile", ["embedded", "paper"])
def test_make_exports_again_with_the_environment_of_the_profile_that_is_there(
    profile: str, tmp_path: Path
) -> None:
    """Also without the slots that translate, which a user may leave out."""
    stamp = tmp_path / "image_encoder" / "1" / "export.json"
    stamp.parent.mkdir(parents=True)
    stamp.write_text(json.dumps({"stamp": {"profile": profile}}, indent=1))
    done = subprocess.run(
        ["make", "--dry-run", "exported", f"OUT={tmp_path}"],
        cwd=PROJECT,
        env={**os.environ, "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    environment = {"embedded": ".venv", "paper": ".venv-development"}[profile]
    assert f"\n{environment}/bin/python -m export --as-before --out {tmp_path}\n" in done.stdout


def test_an_error_quotes_the_log(checkout: Path) -> None:
    """The index is a folder without packages: no network."""
    (checkout / "environment" / "bin").mkdir(parents=True)
    (checkout / "environment" / "bin" / "python").symlink_to(sys.executable)
    done = subprocess.run(
        [sys.executable, "requirements/install.py", "environment", "toy", "a toy"],
        cwd=checkout,
        env={**os.environ, "UV_OFFLINE": "1", "UV_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "setup: environment (a toy) failed" in done.stderr
    assert "vemoclap-no-such-package" in done.stderr
    assert "run it again" in done.stderr
    assert "Traceback" not in done.stderr
    log = (checkout / "build" / "setup-toy.log").read_text()
    assert log.startswith("$ ")
