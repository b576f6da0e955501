"""Completion in shells: `vemoclap --print-completion SHELL`, with shtab."""

import argparse
from collections.abc import Iterator
from typing import Any

from vemoclap_client.cli._output import Output

SHELLS = ("bash", "zsh", "fish")

FILES, FOLDERS = ("VIDEO", "FILE", "FILE-or-DIR"), ("DIR",)
"""Metavars of what is a path."""


class PrintCompletion(argparse.Action):
    """Prints the script that completes the command in a shell, and ends the program.

    The script is printed once, to be kept, and knows all options: completing runs no Python.
    """

    def __call__(self, parser: argparse.ArgumentParser, *arguments: Any) -> None:
        """Prints the script for arguments[1], one of SHELLS."""
        try:
            import shtab
        except ImportError:
            parser.error(
                "--print-completion needs shtab, an optional extra. Install it: "
                "pip install './client[completion]'"
            )
        for action in _actions(parser):
            if action.metavar in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.metavar in FOLDERS:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        # shtab 1.13 lets zsh complete only the first of several values.
        script = shtab.complete(parser, arguments[1]).replace('"(*):', '"*:')
        output = Output()
        output.write(f"{script}\n")
        parser.exit(output.exit_code)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All arguments of a command and its sub-commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _actions(each)
