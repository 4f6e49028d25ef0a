"""`compare`: a comparison of checkpoints or models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdmetrics.cli.app import app, console
from sdmetrics.cli.console.tables import Estimate, plain_table
from sdmetrics.cli.options import FIGURES
from sdmetrics.errors import InputError
from sdmetrics.metrics.classes import FACTORS, UNIT_CLASSES
from sdmetrics.report.words import estimate, known, number, whole_percent

if TYPE_CHECKING:
    from sdmetrics.comparison.compare import Comparison, Run

STEPS_SHOWN = 12
"""The maximum number of steps in a table, evenly spaced. Page and CSV contain all steps."""


@app.command()
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of runs; the folder of a training's measurements counts as all of its steps, in order.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML page to write.")] = Path("compare.html"),
    figures: Annotated[Path | None, FIGURES] = None,
    csv: Annotated[
        Path | None, typer.Option(help="CSV file for all numbers. Default: none is written.", show_default=False)
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(
            help="Experiment tracker that gets the numbers by step and, where it stores files, the rows and the page: "
            "tensorboard=FOLDER, wandb=PROJECT, mlflow=URI or trackio=PROJECT; repeat for several. A run is started "
            "and finished; logging in is up to you. Default: none.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compare checkpoints or models: curves over training, layers against layers, and differences.

    Differences have confidence intervals if both runs are on disk and used the same clips and the same seed.
    """
    from sdmetrics.comparison.compare import compare as compare_runs
    from sdmetrics.loggers.start import parsed, started
    from sdmetrics.report.comparison import write_comparison, write_comparison_figures

    for text in log or ():
        parsed(text)
    comparison = compare_runs(_by_name(runs))
    for warning in comparison.warnings:
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True)
    _print_tables(comparison)
    console.print(f"page: {write_comparison(comparison, out)}", soft_wrap=True)
    for path in write_comparison_figures(comparison, figures) if figures else []:
        console.print(f"figure: {path}", soft_wrap=True)
    if csv:
        console.print(f"numbers: {comparison.save_csv(csv)}", soft_wrap=True)
    for text in log or ():
        with started(text) as target:
            comparison.write(target, page=out)
        console.print(f"log: {text}", soft_wrap=True)


def _by_name(folders: Sequence[Path]) -> dict[str, Run]:
    """Return the runs by the names of their folders, with all steps of a training under its name."""
    from sdmetrics.comparison.step_folders import step_folders

    named: dict[str, Any] = {}
    seen: dict[str, tuple[Path, bool]] = {}
    for folder in (path.resolve() for path in folders):
        step = next((step for step, path in step_folders(folder.parent).items() if path == folder), None)
        run = folder if step is None else folder.parent
        earlier = seen.setdefault(run.name, (run, step is not None))
        if earlier != (run, step is not None) or (step is None and run.name in named):
            raise InputError(
                f"two runs have the same folder name, {run.name!r} ({', '.join(map(str, folders))}); rename one, "
                "or pass it only once"
            )
        if step is None:
            named[run.name] = folder
        else:
            named.setdefault(run.name, {})[step] = folder
    return named


def _print_tables(comparison: Comparison) -> None:
    """Print the last layer of each training, the layers of all runs, and the differences between last layers."""
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
            (
                f"{row['from']} → {row['to']}",
                " → ".join(dict.fromkeys((row["from_layer"], row["to_layer"]))),
                *_changes(row),
            )
            for row in changes
        ]
        titles = ("from → to", "last layers", *(f"layer %\n{factor}" for factor in FACTORS), "interval")
        console.print(plain_table("differences", titles, table))


def _is_last(row: Mapping[str, Any], comparison: Comparison) -> bool:
    """Return whether a difference is between two last layers."""
    last = {point.name: point.results.layers[-1]["name"] for points in comparison.series.values() for point in points}
    return bool(row["from_layer"] == last[row["from"]] and row["to_layer"] == last[row["to"]])


def _cells(row: Mapping[str, Any]) -> list[str]:
    """Format a layer's percents, whose intervals are in page and CSV, and the shares of its units."""
    percents = [number(row[f"percent_{factor}"], 1) for factor in FACTORS]
    return percents + [whole_percent(row[f"units_{name}"], row["units"]) for name in UNIT_CLASSES]


def _changes(row: Mapping[str, Any]) -> list[Estimate | str]:
    """Format the differences of the percents, and the kind of their intervals."""
    kind = f"none: {row['intervals']}" if row["intervals"] else "paired, 95 %"
    return [*(_difference(row, f"percent_{factor}") for factor in FACTORS), kind]


def _difference(row: Mapping[str, Any], name: str) -> Estimate:
    """Format a difference and its interval."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return Estimate(estimate(value, known((low, high)), 1))
