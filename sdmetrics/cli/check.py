"""`check`: requirements on the results of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdmetrics.analysis.results import Results
from sdmetrics.cli.app import app, console
from sdmetrics.cli.options import RUN
from sdmetrics.report.words import number


@app.command()
def check(
    run: Annotated[Path, RUN],
    require: Annotated[
        list[str],
        typer.Option(
            help="Requirement; repeat for several. 'LAYER.dynamic >= 30': percent of Eq. 1 (dynamic, static, "
            "identical). "
            "'LAYER.units.dynamic >= 30': percent of units of Eq. 3 (dynamic, static, joint, residual, dead), or that "
            "encode a further factor ('LAYER.units.reverse <= 50'). "
            "'LAYER.score.reverse <= 0.9': the layer's score of a factor, -1 to 1.",
            show_default=False,
        ),
    ],
    bound: Annotated[
        bool,
        typer.Option(
            "--bound", help="Compare the least favourable bound of the 95 % interval instead of the estimate."
        ),
    ] = False,
) -> None:
    """Check requirements on a run, e.g. before a release.

    Exits with status 1 if a requirement does not hold.
    """
    results = Results.load(run)
    verdicts = [(text, *results.check(text, bound)) for text in require]
    for text, holds, value in verdicts:
        style, word = ("green", "holds") if holds else ("red", "breach")
        kind = "bound" if bound else "measured"
        console.print(f"{word}: {text} ({kind}: {number(value, 1)})", style=style, soft_wrap=True)
    if not all(holds for _, holds, _ in verdicts):
        raise typer.Exit(1)
