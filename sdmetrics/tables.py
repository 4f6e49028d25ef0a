"""Results as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from sdmetrics.results import Results

UNIT_CLASSES = ("dynamic", "static", "joint", "residual")


def results_table(results: Results, title: str) -> Table:
    """Return the layers of a run: percents of Eq. 1 with their intervals, and the shares of Eq. 3's unit classes."""
    table = Table(title=title, caption="percent: Eq. 1 with 95 % interval; units: share of the layer's units, Eq. 3")
    table.add_column("layer", overflow="fold")
    for name in ("units", "pairs", "dynamic %", "static %", *(f"{name} units" for name in UNIT_CLASSES)):
        table.add_column(name, justify="right", overflow="fold")
    for row in results.layers:
        table.add_row(
            row["name"],
            str(row["units"]),
            str(row["pairs"]["dynamic"]),
            *(_percent(row, factor) for factor in ("dynamic", "static")),
            *(f"{100 * row['counts'][name] / row['units']:.0f} %" for name in UNIT_CLASSES),
        )
    return table


def _percent(row: Mapping[str, Any], factor: str) -> str:
    """Write a percent and its interval."""
    value = row["percent"][factor]
    if value is None:
        return "–"
    low, high = row["ci95"]["percent"][factor]
    return f"{value:.1f}" + (f" ({low:.1f}–{high:.1f})" if low is not None else "")


def plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Return a plain table."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    return table
