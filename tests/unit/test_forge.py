"""The workflows for a public forge, which are not run here: their form, and what they name."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.documented import Command, simple_commands
from tests.launching import PROJECT
from tests.unit.test_documented_commands import CHECKS, check
from vemoclap_client import __version__

WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
RELEASE = PROJECT / ".github" / "workflows" / "release.yml"
OWNERS = ("actions/", "docker/", "./")
"""Whose actions may be named by a release, which they can move: the forge's, Docker's, ours."""
SECTION = re.compile(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?", re.MULTILINE)
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())["jobs"]
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job.get("steps", ())]


@pytest.mark.parametrize(
    "schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"]
)
def test_the_form_is_that_of_workflows(schema: str) -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [program, "--builtin-schema", schema, *WORKFLOWS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@each_workflow
def test_it_may_do_no_more_than_it_must(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}
    for step in steps(path):
        action = step.get("uses", "./")
        assert action.startswith(OWNERS) or re.search(r"@[0-9a-f]{40}$", action)


@each_workflow
def test_what_it_runs_is_there(path: Path) -> None:
    for step in steps(path):
        for words in simple_commands(step.get("run", "")):
            command = Command(path.name, words)
            if command.words[0] == ".ci/run":
                assert os.access(PROJECT / ".ci" / "run", os.X_OK)
            elif command.program in CHECKS and "pip" not in words and "build" not in words:
                check(command)
            else:
                assert command.program in ("apt-get", "echo", "git", "test", "grep", "python3")


def script_of_release(name: str) -> str:
    (script,) = (step["run"] for step in steps(RELEASE) if step.get("name", "").startswith(name))
    return str(script)


def test_images_have_names_that_a_registry_takes_before_anything_is_published(
    tmp_path: Path,
) -> None:
    script, output = script_of_release("The images' names"), tmp_path / "output"
    environment = {"GITHUB_REPOSITORY": "Some-One/VEMOCLAP", "GITHUB_OUTPUT": str(output)}
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=environment, check=True)
    assert output.read_text() == "images=ghcr.io/some-one/vemoclap\n"
    release = jobs(RELEASE)
    assert release["wheel"]["outputs"] == {"images": "${{ steps.names.outputs.images }}"}
    assert "wheel" in release["publish"]["needs"] and "wheel" in release["images"]["needs"]
    *_, build, attest = release["images"]["steps"]
    names = build["with"]["tags"].partition(":")[0], attest["with"]["subject-name"]
    assert set(names) == {"${{ needs.wheel.outputs.images }}-${{ matrix.image }}"}


def test_each_image_of_the_project_is_released() -> None:
    images = jobs(RELEASE)["images"]["strategy"]["matrix"]
    assert {f"{name}.Dockerfile" for name in images["image"]} == {
        path.name for path in PROJECT.glob("docker/*.Dockerfile")
    }


@pytest.mark.parametrize(
    ("tag", "section", "agrees"),
    [
        (f"v{__version__}", f"## [{__version__}] - 2026-12-01", True),
        ("v99.0", f"## [{__version__}] - 2026-12-01", False),
        (f"v{__version__}", "## [Unreleased]", False),
    ],
)
def test_a_tag_that_is_not_the_version_is_no_release(
    tag: str, section: str, agrees: bool, tmp_path: Path
) -> None:
    script = script_of_release("Tag, version and changelog agree")
    (tmp_path / "client").symlink_to(PROJECT / "client")
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{section}\n")
    environment = {**os.environ, "GITHUB_REF_NAME": tag}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment, check=False
    )
    assert (done.returncode == 0) == agrees


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    text = (PROJECT / "CHANGELOG.md").read_text()
    names, dates = zip(*SECTION.findall(text), strict=True)
    assert names.count("Unreleased") == (names[0] == "Unreleased")
    assert {"Unreleased", __version__} & set(names)
    released = [date for name, date in zip(names, dates, strict=True) if name != "Unreleased"]
    assert all(released) and released == sorted(released, reverse=True)
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= KINDS
    assert len(re.findall(r"^## ", text, re.MULTILINE)) == len(names)
