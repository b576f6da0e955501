"""Reads what docker/ holds: Dockerfiles, compose files as compose merges them, .dockerignore."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import yaml

PROJECT = Path(__file__).parents[1]
DOCKER = PROJECT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
COMPOSITIONS = {"cpu": ("compose.yaml",), "gpu": ("compose.yaml", "compose.gpu.yaml")}
MONITORED = (*COMPOSITIONS["gpu"], "compose.monitoring.yaml")
WITH_GATEWAY = ("compose.yaml", "compose.gateway.yaml")


class Loader(yaml.SafeLoader):
    """Reads compose files, in which `!reset` takes back what an earlier file has."""


Loader.add_constructor("!reset", lambda loader, node: RESET)
RESET = object()

Instructions = list[tuple[str, str]]
Service = dict[str, Any]


def instructions(path: Path) -> Instructions:
    """A Dockerfile's instructions, as (name, rest) with continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined if line.strip()]


def stages(path: Path) -> list[tuple[str, str, Instructions]]:
    """A Dockerfile's stages: base image, name, instructions."""
    found: list[tuple[str, str, Instructions]] = []
    for name, rest in instructions(path):
        if name == "FROM":
            base, _, alias = rest.partition(" AS ")
            found.append((base, alias, []))
        else:
            found[-1][2].append((name, rest))
    return found


def values(steps: Instructions, name: str) -> list[str]:
    """What follows each instruction of that name."""
    return [rest for found, rest in steps if found == name]


def merged(base: Any, override: Any) -> Any:
    """Two compose documents as compose merges them.

    Mappings by key, lists joined, `command`, `test` and scalars replaced; `!reset` leaves out.

    Source: the Compose Specification, "Merge Compose files".
    """
    if isinstance(base, dict) and isinstance(override, dict):
        both = {
            key: override[key] if key in ("command", "test") else merged(base[key], override[key])
            for key in base.keys() & override.keys()
        }
        document = {**base, **override, **both}
        return {key: value for key, value in document.items() if value is not RESET}
    if isinstance(base, list) and isinstance(override, list):
        return base + override
    return override


def compose(*names: str) -> dict[str, Any]:
    """The named files of docker/, merged, with every ${NAME:-default} replaced by its default."""
    document: dict[str, Any] = {}
    for name in names:
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (DOCKER / name).read_text())
        document = merged(document, yaml.load(text, Loader))
    return document


def validate(document: dict[str, Any]) -> None:
    """Raises if it is not what the Compose Specification's own schema allows."""
    # As check-jsonschema brings it (Apache-2.0).
    name = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
    schema = Path(str(distribution("check-jsonschema").locate_file(name)))
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    validator.validate(document)


def built_stage(service: Service) -> Instructions:
    """The instructions of the stage that a service's image ends with."""
    found = stages(PROJECT / service["build"]["dockerfile"])
    target = service["build"].get("target")
    return next(steps for _, name, steps in reversed(found) if target in (None, name))


def server_arguments(service: Service) -> list[str]:
    """What `python -m server` is given: by the service's own command, else by its image's."""
    command = service.get("command") or json.loads(values(built_stage(service), "CMD")[-1])
    assert command[:3] == ["python3", "-m", "server"]
    return [str(word) for word in command[3:]]


def reaches_builder(name: str) -> bool:
    """Whether .dockerignore lets a file through: the last pattern that matches decides.

    Source: Docker's reference, "Dockerignore files".
    """
    parts = Path(name).parts
    # A pattern that matches a folder holds for what is in it.
    prefixes = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    through = True
    for line in (PROJECT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line.startswith("#") or not pattern:
            continue
        if any(_matches(prefix, pattern) for prefix in prefixes):
            through = line.startswith("!")
    return through


def _matches(name: str, pattern: str) -> bool:
    expression = re.escape(pattern).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
    return re.fullmatch(expression.replace(r"\[0\-9\]", "[0-9]"), name) is not None
