"""`report` and `check`: what is done with finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdmetrics.analysis.results import Results
from sdmetrics.cli.app import app, console
from sdmetrics.errors import InputError


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, shown side by side.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The page to write. Default: report.html in the first run."),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Also write the figures as PNG and SVG into this folder.")
    ] = None,
) -> None:
    """Write the report of one or more runs as one offline page."""
    from sdmetrics.ablation.result import Ablation
    from sdmetrics.report import write_figures, write_report

    loaded = {run.resolve().name: Results.load(run) for run in runs}
    if len(loaded) < len(runs):
        raise InputError(f"two runs have the same folder name ({', '.join(map(str, runs))}); rename one")
    ablated = {run.resolve().name: Ablation.load(run) for run in runs if (run / "ablation.json").exists()}
    page = write_report(loaded, out or runs[0] / "report.html", ablations=ablated)
    console.print(f"report: {page}", soft_wrap=True)
    for path in write_figures(loaded, figures, ablations=ablated) if figures else []:
        console.print(f"figure: {path}", soft_wrap=True)


@app.command()
def check(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    require: Annotated[
        list[str],
        typer.Option(
            help="May be repeated. 'LAYER.dynamic >= 30': percent of Eq. 1 (dynamic, static, identical). "
            "'LAYER.units.dynamic >= 30': percent of units of Eq. 3 (dynamic, static, joint, residual, dead).",
            show_default=False,
        ),
    ],
    bound: Annotated[
        bool, typer.Option("--bound", help="Judge by the end of the 95 % interval that is hardest to meet.")
    ] = False,
) -> None:
    """Gate a release: exit with 1 if a requirement on a run does not hold."""
    results = Results.load(run)
    verdicts = [(text, *results.check(text, bound)) for text in require]
    for text, holds, value in verdicts:
        style, word = ("green", "holds") if holds else ("red", "breach")
        kind = "bound" if bound else "measured"
        console.print(
            f"{word}: {text} ({kind}: {value:.1f})",
            style=style,
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
    if not all(holds for _, holds, _ in verdicts):
        raise typer.Exit(1)
