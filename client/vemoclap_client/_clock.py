"""How long something took."""

import time


def milliseconds_since(started: float) -> float:
    """How long ago `started` was, of time.perf_counter."""
    return round((time.perf_counter() - started) * 1000, 1)
