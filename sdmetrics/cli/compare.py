"""`compare`: checkpoints or models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdmetrics.cli.app import app, console
from sdmetrics.cli.tables import plain_table
from sdmetrics.errors import InputError
from sdmetrics.metrics.classes import FACTORS, UNIT_CLASSES

if TYPE_CHECKING:
    from sdmetrics.comparison.compare import Comparison, Run

STEPS_SHOWN = 12
"""Of more, the terminal shows some, evenly spread; page and CSV have them all."""


@app.command()
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of runs, or the folder of a training's measurements, whose steps are then taken in order.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path("compare.html"),
    figures: Annotated[
        Path | None, typer.Option(help="Also write the figures as PNG and SVG into this folder.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write all numbers to this CSV file.")] = None,
) -> None:
    """Put checkpoints or models side by side: curves over training, layers against layers, and their differences.

    What differs is given with an interval where both runs saw the same clips with the same seed.
    """
    from sdmetrics.comparison.compare import compare as compare_runs
    from sdmetrics.report.comparison import write_comparison, write_comparison_figures

    comparison = compare_runs(_by_name(runs))
    for warning in comparison.warnings:
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True, markup=False, highlight=False)
    _print_tables(comparison)
    console.print(f"page: {write_comparison(comparison, out)}", soft_wrap=True)
    for path in write_comparison_figures(comparison, figures) if figures else []:
        console.print(f"figure: {path}", soft_wrap=True)
    if csv:
        console.print(f"numbers: {comparison.save_csv(csv)}", soft_wrap=True)


def _by_name(folders: Sequence[Path]) -> dict[str, Run]:
    """Return the runs by their folders' names; steps of one training that are given one by one, together."""
    from sdmetrics.comparison.step_folders import step_folders

    named: dict[str, Any] = {}
    seen: dict[str, tuple[Path, bool]] = {}
    for folder in (path.resolve() for path in folders):
        step = next((step for step, path in step_folders(folder.parent).items() if path == folder), None)
        one = folder if step is None else folder.parent
        known = seen.setdefault(one.name, (one, step is not None))
        if known != (one, step is not None) or (step is None and one.name in named):
            given = ", ".join(map(str, folders))
            raise InputError(f"two runs have the same folder name, {one.name!r} ({given}); rename one, or give it once")
        if step is None:
            named[one.name] = folder
        else:
            named.setdefault(one.name, {})[step] = folder
    return named


def _print_tables(comparison: Comparison) -> None:
    """Print each training's last layer, the runs' layers, and the differences of last layers."""
    columns = [*(f"layer %\n{factor}" for factor in FACTORS), *(f"units %\n{name}" for name in UNIT_CLASSES)]
    for name, points in comparison.trained.items():
        last = points[-1].results.layers[-1]["name"]
        rows = [row for row in comparison.rows if (row["run"], row["layer"]) == (name, last)]
        shown = sorted({round(i * (len(rows) - 1) / (STEPS_SHOWN - 1)) for i in range(STEPS_SHOWN)})
        table = [(rows[i]["step"], *_cells(rows[i])) for i in shown]
        part = f", {len(shown)} of {len(rows)} steps" if len(shown) < len(rows) else ""
        console.print(plain_table(f"{name}: {last} over training{part}", ("step", *columns), table))
    if len(comparison.series) > 1:
        ends = {name: points[-1].step for name, points in comparison.series.items()}
        rows = [row for row in comparison.rows if row["step"] == ends[row["run"]]]
        table = [(row["run"], row["layer"], *_cells(row)) for row in rows]
        console.print(plain_table("layers", ("run", "layer", *columns), table))
    changes = [row for row in comparison.differences if _is_last(row, comparison)]
    if changes:
        table = [
            (f"{row['from']} → {row['to']}", f"{row['from_layer']} → {row['to_layer']}", *_changes(row))
            for row in changes
        ]
        titles = ("from → to", "last layers", *(f"layer %\n{factor}" for factor in FACTORS), "interval")
        console.print(plain_table("differences", titles, table))


def _is_last(row: Mapping[str, Any], comparison: Comparison) -> bool:
    """Whether a difference is that of two last layers."""
    last = {point.name: point.results.layers[-1]["name"] for points in comparison.series.values() for point in points}
    return bool(row["from_layer"] == last[row["from"]] and row["to_layer"] == last[row["to"]])


def _cells(row: Mapping[str, Any]) -> list[str]:
    """Write a layer's percents, whose intervals are in page and CSV, and the shares of its units."""
    percents = [row[f"percent_{factor}"] for factor in FACTORS]
    written = ["–" if value is None else f"{value:.1f}" for value in percents]
    return written + [f"{100 * row[f'units_{name}'] / row['units']:.0f}" for name in UNIT_CLASSES]


def _changes(row: Mapping[str, Any]) -> list[str]:
    """Write the differences of the percents, and of what kind their intervals are."""
    kind = f"none: {row['intervals']}" if row["intervals"] else "paired, 95 %"
    return [*(_difference(row, f"percent_{factor}") for factor in FACTORS), kind]


def _difference(row: Mapping[str, Any], name: str) -> str:
    """Write a difference and its interval."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return "–"
    return f"{value:+.1f}" + (f" ({low:+.1f} to {high:+.1f})" if low is not None else "")
