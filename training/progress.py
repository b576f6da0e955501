"""The progress bars of long steps."""

import sys

from tqdm import tqdm

LOG_INTERVAL_S = 10.0


def progress_bar(total: int, done: int, unit: str, name: str) -> tqdm:
    """A bar on standard error; a log gets a line of it every ten seconds, not ten a second.

    Args:
        total: steps in all.
        done: those that an earlier run has done.
        unit: of a step, in the singular.
        name: shown before the bar.
    """
    interval_s = 0.1 if sys.stderr.isatty() else LOG_INTERVAL_S
    return tqdm(total=total, initial=done, unit=unit, desc=name, mininterval=interval_s)
