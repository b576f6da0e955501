"""Prints the figures that the parity tests have found, as a table."""

import pytest

COLUMNS = [
    (chosen, precision)
    for chosen in ("onnx", "torchscript")
    for precision in ("fp32", "fp16", "int8")
]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One row per output: the largest difference, or in int8 the smallest cosine."""
    rows: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for report in terminalreporter.getreports("passed"):
        for key, value in getattr(report, "user_properties", ()):
            if key == "parity":
                slot, chosen, precision, figures = value
                for output, figure in figures.items():
                    rows.setdefault((slot, output), {})[chosen, precision] = figure
    if not rows:
        return
    names = [f"{chosen} {precision}" for chosen, precision in COLUMNS]
    terminalreporter.write_line(f"| slot | output | {' | '.join(names)} |")
    terminalreporter.write_line(f"| --- | --- | {' | '.join('---:' for _ in names)} |")
    for (slot, output), found in rows.items():
        cells = (_cell(column[1], found.get(column)) for column in COLUMNS)
        terminalreporter.write_line(f"| {slot} | {output} | {' | '.join(cells)} |")


def _cell(precision: str, figure: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:.5f}" if precision == "int8" else f"{figure:.1e}"
