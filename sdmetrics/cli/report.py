"""`report`: one page on one or more finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdmetrics.analysis.results import Results
from sdmetrics.cli.app import app, console
from sdmetrics.cli.options import FIGURES
from sdmetrics.errors import InputError


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, shown side by side.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="HTML page to write. Default: report.html in the first run."),
    ] = None,
    figures: Annotated[Path | None, FIGURES] = None,
) -> None:
    """Write one report on one or more runs: an HTML page that works offline."""
    from sdmetrics.ablation.result import Ablation
    from sdmetrics.report import write_figures, write_report

    loaded = {run.resolve().name: Results.load(run) for run in runs}
    if len(loaded) < len(runs):
        raise InputError(f"two runs have the same folder name ({', '.join(map(str, runs))}); rename one")
    stored = {run.resolve().name: Ablation.of_run(run, loaded[run.resolve().name]) for run in runs}
    ablated = {name: ablation for name, ablation in stored.items() if ablation}
    page = write_report(loaded, out or runs[0] / "report.html", ablations=ablated)
    console.print(f"report: {page}", soft_wrap=True)
    for path in write_figures(loaded, figures, ablations=ablated) if figures else []:
        console.print(f"figure: {path}", soft_wrap=True)
