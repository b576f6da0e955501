"""A timeline as a table, one row per window, for spreadsheets and data frames."""

import csv
import io

from vemoclap_client.contract import EMOTIONS
from vemoclap_client.timeline import Timeline, Window

HEADER = ("start_s", "end_s", "emotion", *EMOTIONS, "valence", "arousal")


def format_csv(timeline: Timeline) -> str:
    """The timeline as CSV (RFC 4180, lines end in CR LF).

    The emotion is empty where nothing speaks for any.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER)
    writer.writerows(_row(window) for window in timeline.windows)
    return text.getvalue()


def _row(window: Window) -> list[float | str | None]:
    shares = [window.probabilities[emotion] for emotion in EMOTIONS]
    return [
        window.start_s,
        window.end_s,
        window.emotion,
        *shares,
        window.valence,
        window.arousal,
    ]
