"""`demo`: a first run on two small models and generated clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdmetrics.cli.app import app, console, resumable
from sdmetrics.cli.console.tables import results_table
from sdmetrics.cli.options import SEED


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the two runs and their report.")] = Path("demo"),
    clips: Annotated[int, typer.Option(min=2, help="Number of generated clips.")] = 320,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Analyze two small models with a known answer: one recognizes motions, the other recognizes appearances."""
    from sdmetrics.demo import run_demo
    from sdmetrics.report import write_report

    with resumable():
        runs = run_demo(out, clips=clips, seed=seed)
    for name, results in runs.items():
        console.print(results_table(results, f"trained to recognize {name}s"))
    console.print(f"report: {write_report(runs, out / 'report.html')}", soft_wrap=True)
