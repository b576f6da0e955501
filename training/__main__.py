"""`python -m training COMMAND`: see --help."""

import sys
from collections.abc import Sequence
from importlib import import_module

from vemoclap_client.errors import VemoclapError

COMMANDS = {
    "train": "training.train_command",
    "evaluate": "training.evaluate_command",
    "ekman6": "training.ekman6_command",
}
"""Command -> the module whose `main(arguments)` runs it; imported when it is asked for."""


def main(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code: 0, or that of the error that it printed."""
    if not arguments or arguments[0] not in COMMANDS:
        asked_for_help = arguments[:1] in (["-h"], ["--help"])
        print(
            f"usage: python -m training {{{','.join(COMMANDS)}}} ... (--help after one)",
            file=sys.stdout if asked_for_help else sys.stderr,
        )
        return 0 if asked_for_help else 2
    try:
        import_module(COMMANDS[arguments[0]]).main(arguments[1:])
    except VemoclapError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
