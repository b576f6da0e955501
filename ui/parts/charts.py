"""What the charts share."""

from collections.abc import Iterable, Mapping
from typing import Any

import altair as alt


def inline(rows: Iterable[Mapping[str, Any]]) -> alt.InlineData:
    """Rows as a chart's data, written into the chart itself."""
    return alt.InlineData(values=[dict(row) for row in rows])


def layered(layers: Iterable[alt.Chart], height_px: int) -> alt.LayerChart:
    """Charts on top of each other, as wide as there is room for."""
    return alt.LayerChart(layer=list(layers)).properties(height=height_px)
