"""The command line: each command calls the library and prints the outcome."""

from __future__ import annotations

from typing import Annotated

import typer

# Each import adds its commands, in the order in which `--help` lists them.
from sdmetrics.cli import demo  # noqa: F401  isort: skip
from sdmetrics.cli import doctor  # noqa: F401  isort: skip
from sdmetrics.cli import layers  # noqa: F401  isort: skip
from sdmetrics.cli import probe  # noqa: F401  isort: skip
from sdmetrics.cli import export  # noqa: F401  isort: skip
from sdmetrics.cli import sample  # noqa: F401  isort: skip
from sdmetrics.cli import style  # noqa: F401  isort: skip
from sdmetrics.cli import analyze  # noqa: F401  isort: skip
from sdmetrics.cli import merge  # noqa: F401  isort: skip
from sdmetrics.cli import report  # noqa: F401  isort: skip
from sdmetrics.cli import check  # noqa: F401  isort: skip
from sdmetrics.cli import compare  # noqa: F401  isort: skip
from sdmetrics.cli import ablate  # noqa: F401  isort: skip
from sdmetrics.cli import evaluate  # noqa: F401  isort: skip
from sdmetrics.cli import centre_bias  # noqa: F401  isort: skip
from sdmetrics.cli import inspect  # noqa: F401  isort: skip
from sdmetrics.cli.app import app, console, join_lines

__all__ = ["app"]

join_lines(app)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="Show what libraries log and warn about; stands before the command."),
    ] = False,
) -> None:
    """Apply the options that stand before a command."""
    from sdmetrics._version import __version__
    from sdmetrics.probes.quiet import show_logs

    show_logs(verbose)
    if show:
        console.print(__version__)
        raise typer.Exit
