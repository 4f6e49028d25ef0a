"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sdmetrics._text import printable
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.until import stopped_in_words
from sdmetrics.clips.manipulations.further import further_of
from sdmetrics.metrics.classes import FACTORS, UNIT_CLASSES
from sdmetrics.report.words import estimate, interval, known, whole_percent

CAPTION = "layer %: Eq. 1 [95 % interval] · units: share of a class in percent, Eq. 3"

NAME_WIDTH, COMMAND_WIDTH = 12, 20
"""Names of layers, and the first column of a plain table, are not wrapped if none is longer."""


class Estimate:
    """A cell with a number and its interval, on two lines if the column is too narrow for one.

    Parameters
    ----------
    text
        See `sdmetrics.report.words.estimate`.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.replace(" [", "\n[", 1)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the width on one line if it fits, else on two."""
        one, two = len(self.text), max(map(len, self.lines.splitlines()))
        return Measurement(two, one if one <= options.max_width else two)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield one line if it fits, else two."""
        yield Text(self.text if len(self.text) <= options.max_width else self.lines)


def clips_in_words(used: int, skipped: int, looped: int) -> str:
    """Return how many clips were used, skipped and, where any were, looped.

    Examples
    --------
    >>> clips_in_words(9, 1, 2)
    '9 clips used, 1 skipped, 2 looped (their videos are shorter than a clip)'
    """
    return f"{used} clips used, {skipped} skipped" + (
        f", {looped} looped (their videos are shorter than a clip)" if looped else ""
    )


def results_table(results: Results, title: str) -> Table:
    """Return a table of a run's layers: percents (Eq. 1) with intervals, and shares of the unit classes (Eq. 3)."""
    table = Table(
        title=f"{title}: "
        + clips_in_words(results.clips["used"], len(results.clips["skipped"]), results.clips.get("looped", 0)),
        caption="\n".join(filter(None, (CAPTION, stopped_in_words(results.stopped)))),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
    )
    _add_names(table, "layer", [row["name"] for row in results.layers], NAME_WIDTH)
    table.add_column("units", justify="right", no_wrap=True)
    for factor in FACTORS:
        table.add_column(Text(f"layer %\n{factor}"), justify="right")
    for name in UNIT_CLASSES:
        table.add_column(Text(f"units:\n{name}"), justify="right", no_wrap=True)
    also = further_of(results.layers[0]) if results.layers else ()
    for name in also:
        table.add_column(Text(f"score:\n{name}"), justify="right")
    for row in results.layers:
        shares = (whole_percent(row["counts"][name], row["units"]) for name in UNIT_CLASSES)
        further = (Estimate(estimate(row["also"][name]["score"], known(row["also"][name]["ci95"]), 2)) for name in also)
        percents = (_percent(row, factor) for factor in FACTORS)
        table.add_row(row["name"], str(row["units"]), *percents, *shares, *further)
    return table


def plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Return a table of rows, whose cells are text on one line or `Estimate`s. A column's title may have several."""
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    _add_names(table, columns[0], [str(row[0]) for row in rows], COMMAND_WIDTH)
    for column in columns[1:]:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Estimate) else str(cell) for cell in row))
    return table


def _add_names(table: Table, title: str, names: Sequence[str], width: int) -> None:
    """Add a column of names that are not wrapped if all are short. A `min_width` would cut off the columns after it."""
    longest = max((cell_len(printable(name)) for name in names), default=0)
    table.add_column(Text(title), overflow="fold", no_wrap=longest <= width)


def _percent(row: Mapping[str, Any], factor: str) -> Estimate:
    """Format a percent and its interval."""
    return Estimate(estimate(row["percent"][factor], interval(row, "percent", factor), 1))
