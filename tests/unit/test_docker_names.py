"""Whatever docker/ and its guide name is there: requirements, make targets, files, commands."""

import json
import re
import shlex
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from export.registry import PROFILES
from tests.docker_files import (
    COMPOSITIONS,
    DOCKER,
    DOCKERFILES,
    PROJECT,
    compose,
    instructions,
    stages,
    values,
)
from ui.settings import Settings
from vemoclap_client.cli.main import build_parser as client_parser

CLIENT = tomllib.loads((PROJECT / "client" / "pyproject.toml").read_text())["project"]
GUIDE = PROJECT / "docs" / "docker.md"
OTHER_GUIDES = [PROJECT / "docs" / name for name in ("kubernetes.md", "observability.md")]
MANIFESTS = sorted(
    path for folder in ("kubernetes", "monitoring") for path in (DOCKER / folder).rglob("*.yaml")
)
COMPOSE_FILES = sorted(DOCKER.glob("*.yaml"))
LOCK = DOCKER / "server-requirements.txt"
each_text = pytest.mark.parametrize(
    "path",
    [*DOCKERFILES, *COMPOSE_FILES, *MANIFESTS, GUIDE, *OTHER_GUIDES],
    ids=lambda path: str(path.relative_to(PROJECT)),
)


def requirements(path: Path) -> dict[str, Requirement]:
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return {canonicalize_name(found.name): found for found in map(Requirement, filter(None, lines))}


def test_the_server_image_installs_what_the_server_needs() -> None:
    needed = set(requirements(PROJECT / "requirements" / "server.in")) - {"nvidia-pytriton"}
    needed |= {canonicalize_name(Requirement(line).name) for line in CLIENT["dependencies"]}
    # Everything else that the image adds is for its GPU.
    extra = set(requirements(DOCKER / "server-requirements.in")) - needed
    assert needed <= set(requirements(DOCKER / "server-requirements.in"))
    assert extra == {"nvidia-cublas-cu12"}
    assert set(requirements(DOCKER / "server-requirements.in")) <= set(requirements(LOCK))


def test_the_app_image_installs_the_releases_that_are_tested() -> None:
    tested = requirements(PROJECT / "requirements" / "development.txt")
    for name, requirement in requirements(PROJECT / "requirements" / "app.txt").items():
        assert requirement.specifier == tested[name].specifier


def test_the_server_image_installs_the_releases_that_are_tested() -> None:
    tested, installed = requirements(PROJECT / "requirements" / "server.txt"), requirements(LOCK)
    assert len(installed) > 40
    for name, requirement in installed.items():
        assert str(requirement.specifier).startswith("=="), name
        if not name.startswith("nvidia-"):
            assert requirement.specifier == tested[name].specifier


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_pip_reads_was_copied(path: Path) -> None:
    for _, _, steps in stages(path):
        copied = [source for line in values(steps, "COPY") for source in line.split()[:-1]]
        for words in map(shlex.split, values(steps, "RUN")):
            read = [
                word
                for option, word in pairwise(words)
                if option in ("--requirement", "--constraint")
            ]
            read += [word.removeprefix("./") for word in words if word.startswith("./")]
            assert set(read) <= set(copied)


def test_the_library_for_whisper_on_the_gpu_is_where_the_image_looks() -> None:
    lines = values(instructions(DOCKER / "server.Dockerfile"), "ENV")
    environment = "/opt/vemoclap/environment"
    assert f"PATH={environment}/bin:${{PATH}}" in lines
    (searched,) = (line for line in lines if line.startswith("LD_LIBRARY_PATH="))
    assert searched.endswith(f"}}{environment}/lib/python3.12/site-packages/nvidia/cublas/lib")
    assert "nvidia-cublas-cu12" in requirements(LOCK)


@each_text
def test_make_targets_exist(path: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^\s*(?:# +)?)make ([a-z-]+)", path.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"


@each_text
def test_named_files_exist(path: Path) -> None:
    text = path.read_text()
    named = re.findall(
        r"\b(?:docker|requirements|docs|tests|server|client|export)/[\w./-]*\w", text
    )
    for name in {name for name in named if not name.startswith("docker/dockerfile")}:
        assert (PROJECT / name).exists() or (PROJECT / path.parent / name).exists(), name


@each_text
def test_profiles_and_stages_exist(path: Path) -> None:
    text = path.read_text()
    assert set(re.findall(r"(?:--profile |PROFILE=)(\w+)", text)) <= {*PROFILES, "app"}
    for file, target in re.findall(r"--file (docker/[\w.-]+).* --target (\w+)", text):
        assert target in [name for _, name, _ in stages(PROJECT / file)]


def test_the_guide_shows_commands_that_docker_can_be_given() -> None:
    """Each `docker build` names a Dockerfile, each `docker compose` files and services."""
    commands = re.findall(r"^docker .*$", GUIDE.read_text().replace("\\\n", " "), re.MULTILINE)
    builds = [words for words in map(shlex.split, commands) if words[1] == "build"]
    assert {words[words.index("--file") + 1] for words in builds} == {
        f"docker/{path.name}" for path in DOCKERFILES
    }
    services = compose(*COMPOSITIONS["cpu"])["services"]
    for words in (words for words in map(shlex.split, commands) if words[1] == "compose"):
        found = {Path(word) for word in words if word.endswith(".yaml")}
        assert found <= {path.relative_to(PROJECT) for path in COMPOSE_FILES}
        if "run" in words:
            service, program, *arguments = words[words.index("--rm") + 1 :]
            assert program in CLIENT["scripts"]
            client_parser().parse_args(arguments)
            assert services[service]["build"]["dockerfile"] == "docker/app.Dockerfile"


def test_the_app_image_runs_the_app_which_finds_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (command,) = values(instructions(DOCKER / "app.Dockerfile"), "CMD")
    *_, module, address = json.loads(command)
    assert (PROJECT / f"{module.replace('.', '/')}.py").is_file()
    assert address == "--server.address=0.0.0.0"
    environment = compose(*COMPOSITIONS["cpu"])["services"]["app"]["environment"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings.read()
    assert (settings.server_url, settings.folder) == ("server:8001", Path("/videos"))
    assert settings.metrics_url == "http://server:8002/metrics"
