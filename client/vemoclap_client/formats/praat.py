"""A timeline as a TextGrid of Praat (long text format). Needs pympi-ling (extra `research`)."""

import tempfile
from pathlib import Path

from pympi.Praat import TextGrid

from vemoclap_client.formats.tiers import make_tiers
from vemoclap_client.timeline import Timeline

MS_PER_S = 1000


def format_textgrid(timeline: Timeline) -> str:
    """The tiers of a timeline; a tier with another one for a parent is one beside it here."""
    tiers = make_tiers(timeline)
    ends_ms = (each.end_ms for tier in tiers for each in tier.annotations)
    # What is said may end after the last picture.
    end_ms = max(round(timeline.duration_s * MS_PER_S), *ends_ms, 1)
    grid = TextGrid(xmax=end_ms / MS_PER_S)
    for tier in tiers:
        made = grid.add_tier(tier.name)
        for each in tier.annotations:
            # Tiers have no overlaps; looking for them takes time with the square of the number.
            made.add_interval(
                each.start_ms / MS_PER_S, each.end_ms / MS_PER_S, each.text, check=False
            )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "grid.TextGrid"
        grid.to_file(file)
        return file.read_text(encoding="utf-8")
