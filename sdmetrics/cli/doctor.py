"""`doctor`: a check of the installation."""

from __future__ import annotations

import typer

from sdmetrics.cli.app import app, console
from sdmetrics.cli.tables import plain_table


@app.command()
def doctor() -> None:
    """Check the installation: list dependencies, test that each one loads, suggest fixes.

    Exits with status 1 if anything is broken.
    """
    from sdmetrics.cli.diagnosis import diagnose

    findings = diagnose()
    console.print(plain_table("sdmetrics doctor", ("what", "found"), [(f.what, f.found) for f in findings]))
    problems = [f for f in findings if f.remedy]
    for finding in problems:
        console.print(f"{finding.what}: {finding.remedy}", style="red", soft_wrap=True, markup=False)
    if problems:
        raise typer.Exit(1)
