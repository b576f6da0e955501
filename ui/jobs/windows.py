"""How the app cuts a clip into the windows of its timeline."""

HOPS_PER_CLIP = 16
"""So many windows, or few more: enough for a curve, and about two clips' worth of work."""

HOP_MIN_S = 2.0
HOP_MAX_S = 300.0
"""Half of the longest window that the client takes."""

HOPS_PER_WINDOW = 2


def window_lengths(duration_s: float) -> tuple[float, float]:
    """The length of a window and the time from one to the next, in seconds, for a clip."""
    hop_s = round(min(max(HOP_MIN_S, duration_s / HOPS_PER_CLIP), HOP_MAX_S), 3)
    return HOPS_PER_WINDOW * hop_s, hop_s
