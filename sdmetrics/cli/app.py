"""The command itself, where its words are printed, and how it ends when it is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

app = typer.Typer(
    help="Does a video model look at motion, or only at single frames?\n\n"
    "Measures, layer by layer and unit by unit, how much of what a model carries is in a single frame (static), and "
    "how much needs several frames (dynamic). Start with: sdmetrics demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console()


@contextmanager
def resumable() -> Iterator[None]:
    """Say, where a run is interrupted, that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from the finished shards")
        raise typer.Exit(130) from None
