"""Results as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from sdmetrics.analysis.results import Results
from sdmetrics.metrics.classes import UNIT_CLASSES

NAME_WIDTH, COMMAND_WIDTH = 12, 20
"""Names of layers, and what people copy from a plain table, stay whole where none has more characters."""


def results_table(results: Results, title: str) -> Table:
    """Return the layers of a run: percents of Eq. 1 with their intervals, and the shares of Eq. 3's unit classes."""
    table = Table(
        title=f"{title}: {results.clips['used']} clips used, {len(results.clips['skipped'])} skipped",
        caption="layer %: Eq. 1, with 95 % interval · units %: share of the units in each class, Eq. 3",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
    )
    _add_names(table, "layer", [row["name"] for row in results.layers], NAME_WIDTH)
    table.add_column("units", justify="right", no_wrap=True)
    for factor in ("dynamic", "static"):
        table.add_column(f"layer %\n{factor}", justify="right")
    for name in UNIT_CLASSES:
        table.add_column(f"units %\n{name}", justify="right", no_wrap=True)
    for row in results.layers:
        shares = (f"{100 * row['counts'][name] / row['units']:.0f}" for name in UNIT_CLASSES)
        table.add_row(row["name"], str(row["units"]), _percent(row, "dynamic"), _percent(row, "static"), *shares)
    return table


def plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Return rows as they are."""
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    _add_names(table, columns[0], [str(row[0]) for row in rows], COMMAND_WIDTH)
    for column in columns[1:]:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    return table


def _add_names(table: Table, title: str, names: Sequence[str], width: int) -> None:
    """Add a column whose names stay whole where all are short; a `min_width` would cut off what is right of it."""
    table.add_column(title, overflow="fold", no_wrap=max(map(len, names), default=0) <= width)


def _percent(row: Mapping[str, Any], factor: str) -> str:
    """Write a percent and its interval."""
    value = row["percent"][factor]
    if value is None:
        return "–"
    low, high = row["ci95"]["percent"][factor]
    return f"{value:.1f}" + (f" ({low:.0f}–{high:.0f})" if low is not None else "")
