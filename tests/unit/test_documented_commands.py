"""Every command that the docs show: run here, run by another test, or given to its own parser.

A command of a program that is in no category fails. What runs and what is only parsed is in
CONTRIBUTING.md.
"""

import argparse
import ast
import base64
import importlib.util
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.documented import (
    PAGES,
    Command,
    fences,
    inline_commands,
    name_of,
    programs,
    shell_commands,
    simple_commands,
    unfenced,
)
from tests.launching import PROJECT
from tests.unit.test_structure import PACKAGES
from vemoclap_client.cli.main import build_parser

RUN_BY = {"docs/http-api.md": "tests/server/test_http_api.py"}
"""Page -> the test that runs all its commands."""

PROGRAMS = r"make|vemoclap|[\w./-]*python[\d.]*|pip|docker|curl|from|import|with"
LANGUAGES = {"sh", "python", "py", "text", "json", "toml", "yaml", "xml", "{eval-rst}"}
PLACEHOLDER = re.compile(r"^[A-Z][A-Z_]*$")
SPANS = {"vemoclap job classify", "vemoclap job timeline"}
"""Names of spans of traces, not commands."""
FOLDERS = ("client/", "docker/", "docs/", "export/", "server/", "tests/", "training/", "ui/")
WITHOUT_PARSER = {
    ("tests.benchmark", "has-gpu"),
    ("pip", "uninstall", "--quiet", "--yes", "onnxruntime"),
}
"""Commands of the Makefile that take no options of ours."""
HISTORY = "CHANGELOG.md"


class CapturedError(Exception):
    """Ends a program at the place where it parses its command line."""


@cache
def parser_of(module: str, *arguments: str, parse: bool) -> argparse.ArgumentParser:
    """The parser that `python -m MODULE ARGUMENTS` makes, which these arguments must please."""
    parsers: list[argparse.ArgumentParser] = []
    really = argparse.ArgumentParser.parse_args

    def captured(
        self: argparse.ArgumentParser, args: Any = None, namespace: Any = None
    ) -> NoReturn:
        if parse:
            really(self, args, namespace)
        parsers.append(self)
        raise CapturedError

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # That it is loaded already, by another test.
        warnings.simplefilter("ignore", RuntimeWarning)
        patch.setattr(argparse.ArgumentParser, "parse_args", captured)
        patch.setattr(sys, "argv", [module, *arguments])
        with pytest.raises(CapturedError):
            runpy.run_module(module, run_name="__main__")
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return parsers[0]


def options_of(parser: argparse.ArgumentParser, words: Sequence[str]) -> set[str]:
    """The options of a parser, and of the sub-command that the words name."""
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            named = [word for word in words if not word.startswith("-")]
            assert not named or PLACEHOLDER.search(named[0]) or named[0] in action.choices, named
            for name in named[:1]:
                if name in action.choices:
                    found |= options_of(action.choices[name], [])
    return found


def check_vemoclap(command: Command) -> None:
    words = list(command.words[1:])
    parser = build_parser()
    if command.is_whole:
        options = parser.parse_args(words)
        options.check(options)
    assert {word for word in words if word.startswith("--")} <= options_of(parser, words)


def check_python(command: Command) -> None:
    first, *words = command.words[1:]
    if first != "-m":
        assert (command.folder / first).is_file() or first == "-c"
        return
    module, *arguments = words
    # What is behind `--` is a command of its own.
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if module == "pytest":
        check_pytest(Command(command.page, tuple(words), is_whole=command.is_whole))
    elif module == "ui.serve":
        check_streamlit(arguments)
    elif arguments and tuple(words) not in WITHOUT_PARSER and mentions(module, "argparse"):
        parser = parser_of(module, *own, parse=command.is_whole)
        assert {word for word in own if word.startswith("--")} <= options_of(parser, own)
        if own != arguments and command.is_whole:
            check(Command(command.page, tuple(arguments[len(own) + 1 :]), command.folder))
    else:
        assert importlib.util.find_spec(module) is not None, f"there is no module {module}"
        assert not arguments or tuple(words) in WITHOUT_PARSER or mentions(module, "sys.argv")


def mentions(module: str, word: str) -> bool:
    """Whether a program of ours has a parser (argparse), or reads its arguments without one."""
    file = PROJECT / module.replace(".", "/")
    source = file / "__main__.py" if file.is_dir() else file.with_suffix(".py")
    return module in PACKAGES or (source.is_file() and word in source.read_text())


def check_streamlit(arguments: list[str]) -> None:
    from streamlit.web import cli

    cli.main_run.make_context("run", ["ui/serve.py", *arguments])


def check_pytest(command: Command) -> None:
    for word in command.words[1:]:
        assert not word.startswith("tests/") or (PROJECT / word).exists(), word


@cache
def dry_run(*words: str) -> str:
    """What make would run, with all that it has to make before.

    make runs a line with $(MAKE) in it even then, the whole line: so that word is another here.
    """
    makefile = (PROJECT / "Makefile").read_text().replace("$(MAKE)", "make")
    assert not re.search(r"\$\{MAKE\}|^\t[@-]*\+", makefile, re.MULTILINE), "it would be run"
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "--file", "-", *words],
        input=makefile,
        cwd=PROJECT,
        env={**os.environ, "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_make(command: Command) -> None:
    makefile = (PROJECT / "Makefile").read_text()
    wanted = [word for word in command.words[1:] if word[0] != "-" and not word.isdigit()]
    for word in wanted:
        name, is_assigned, _ = word.partition("=")
        pattern = rf"^{name} \?=" if is_assigned else rf"^{name}:|^\.PHONY:.* {name}\b"
        assert re.search(pattern, makefile, re.MULTILINE), word
    for words in simple_commands(dry_run(*wanted)):
        if Path(words[0]).name in ("make", "python", "vemoclap", "pytest"):
            check(Command(f"{command} -> {words[0]}", words))


def check_pip(command: Command) -> None:
    verb, named_first, *_ = (word for word in command.words[1:] if word != "--editable")
    package, _, extras = named_first.rstrip("]").partition("[")
    assert verb == "install"
    project = tomllib.loads((PROJECT / "client" / "pyproject.toml").read_text())["project"]
    named = set(filter(None, extras.split(",")))
    assert package in ("./client", project["name"], "deno")
    assert named <= project["optional-dependencies"].keys()


def check_docker(command: Command) -> None:
    """No engine runs here: the files that it names are there, and so is what a container runs."""
    words = command.words
    for option, word in pairwise(words):
        assert option != "--file" or (command.folder / word).is_file(), word
    if "vemoclap" in words:
        check_vemoclap(Command(command.page, words[words.index("vemoclap") :]))


def check_kubectl(command: Command) -> None:
    """No cluster is there: what it would send is made and validated by test_kubernetes.py."""
    if "--kustomize" in command.words:
        folder = command.folder / command.words[command.words.index("--kustomize") + 1]
        assert (folder / "kustomization.yaml").is_file()


def check_emulated(command: Command) -> None:
    start = next(n for n, word in enumerate(command.words) if word.endswith("python"))
    check(Command(command.page, command.words[start:], command.folder, command.is_whole))


def no_check(_: Command) -> None:
    """Neither run nor parsed: a program that is not part of the project."""


CHECKS: dict[str, Callable[[Command], None]] = {
    "make": check_make,
    "vemoclap": check_vemoclap,
    "python": check_python,
    "python3": check_python,
    "python3.11": check_python,
    "pytest": check_pytest,
    "pip": check_pip,
    "docker": check_docker,
    "kubectl": check_kubectl,
    "qemu-x86_64": check_emulated,
    "perf_analyzer": no_check,
    "kustomize": no_check,
    "sed": no_check,
    "cd": lambda command: None if command.folder.is_dir() else pytest.fail(str(command.folder)),
    "export": no_check,
    # Of the gateway's secrets, which are run below, and of the Prometheus rule: test_kubernetes.py.
    **dict.fromkeys(("mkdir", "cp", "openssl", "printf", "chown", "chmod"), no_check),
}


def check(command: Command) -> None:
    if any(word.startswith("...") for word in command.words):
        return
    assert command.program in CHECKS, f"no category: {command}"
    try:
        CHECKS[command.program](command)
    except SystemExit as error:
        # What has printed a help or a completion ends with 0.
        if error.code:
            raise AssertionError(f"its own parser refuses {command}") from error
    for word in command.words if command.is_whole and command.program != "cd" else ():
        assert not word.startswith(FOLDERS) or (command.folder / word).exists(), word


each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@each_page
def test_commands_of_blocks(page: Path) -> None:
    if name_of(page) in RUN_BY:
        assert page.name in (PROJECT / RUN_BY[name_of(page)]).read_text()
    for command in shell_commands(page) if name_of(page) not in RUN_BY else ():
        check(command)


@each_page
def test_commands_inside_sentences(page: Path) -> None:
    named = {"make", "vemoclap", "python", "python3", "pip", "docker", "qemu-x86_64"}
    for command in inline_commands(page, named) if name_of(page) != HISTORY else ():
        if shlex.join(command.words) not in SPANS:
            check(command)


@each_page
def test_blocks_name_their_language(page: Path) -> None:
    """A block without one, or one that is only indented, would not be looked at."""
    languages = {language for language, _ in fences(page)}
    assert languages <= LANGUAGES
    assert not re.findall(rf"^ {{4,}}(?:{PROGRAMS}) .*", unfenced(page), re.MULTILINE)


@each_page
def test_programs_import_what_is_there(page: Path) -> None:
    for program in programs(page):
        for node in ast.walk(ast.parse(program)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, name.name) for name in node.names)


def test_a_wrong_command_is_noticed() -> None:
    wrong = [
        "make no-such-target",
        "make demo NO_SUCH_VARIABLE=1",
        "vemoclap classify clip.mp4 --no-such-option",
        "vemoclap no-such-command",
        "python -m export --no-such-option",
        "python -m server --no-such-option",
        "python -m training train --no-such-option",
        "python -m no_such_module",
        "make bench BENCH_FLAGS=--no-such-option",
        "python client/examples/no_such.py",
        "pip install ./client[no-such-extra]",
        "docker build --file docker/no-such.Dockerfile .",
        "no-such-program",
    ]
    for text in wrong:
        with pytest.raises(AssertionError):
            check(Command("a page", tuple(shlex.split(text))))
    with pytest.raises(AssertionError):
        check(Command("a page", ("python", "-m", "server", "--no-such"), is_whole=False))


def test_the_commands_for_the_gateway_write_what_the_gateway_reads(tmp_path: Path) -> None:
    (script,) = (
        text
        for language, text in fences(PROJECT / "docs" / "security.md")
        if language == "sh" and "tokens.map" in text
    )
    lines = [line for line in script.splitlines() if not line.startswith("docker compose")]
    (tmp_path / "docker").mkdir()
    for name in ("HOST.pem", "HOST.key"):
        (tmp_path / "docker" / name).write_text(name)
    # Only root may give files away.
    chown = "chown() { true; }" if os.geteuid() else ""
    subprocess.run(
        ["bash", "-euc", "\n".join([chown, *lines])], cwd=tmp_path, check=True, timeout=60
    )
    secrets = tmp_path / "docker" / "gateway" / "secrets"
    assert (secrets / "key.pem").read_text() == "HOST.key"
    bearer, basic = (secrets / "tokens.map").read_text().splitlines()
    token = bearer.split('"')[1].removeprefix("Bearer ")
    assert len(token) == 64
    password = base64.b64decode(basic.split('"')[1].removeprefix("Basic ")).decode()
    assert password == f"alice:{token}"
    assert secrets.stat().st_mode & 0o077 == 0
