"""`merge`: the results of a run that was measured in parts, or the sum of runs over different clips."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sdmetrics.cli.app import app, console, print_caution, print_skipped
from sdmetrics.cli.console.tables import results_table
from sdmetrics.cli.options import ESTIMATOR, THRESHOLD


@app.command()
def merge(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folder of a run whose parts are measured; or several: folders of one run that share no disk, or runs "
            "of one model over different clips.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the sum. Default: the run, if it is one.", show_default=False),
    ] = None,
    estimator: Annotated[str, ESTIMATOR] = "pearson",
    threshold: Annotated[float, THRESHOLD] = 0.5,
) -> None:
    """Write the results and the report of a run that was measured in parts, or add runs over different clips.

    Exits with status 1 and names the shards that are missing. Needs neither the model nor the clips.
    """
    from sdmetrics._text import printable
    from sdmetrics.analysis.merge import MissingShardsError
    from sdmetrics.run import merge as merge_runs

    try:
        results = merge_runs(runs, out=out, estimator=estimator, threshold=threshold)
    except MissingShardsError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        raise typer.Exit(1) from None
    console.print(results_table(results, results.model["name"]))
    print_caution(results)
    print_skipped(results.clips["skipped"])
    console.print(f"report: {(out or runs[0]) / 'report.html'}", soft_wrap=True)
