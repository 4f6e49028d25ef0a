"""`check`: a gate on the results of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdmetrics.analysis.results import Results
from sdmetrics.cli.app import app, console


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
