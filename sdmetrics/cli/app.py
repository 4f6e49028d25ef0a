"""The command itself, its console, and what all commands print alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
    """Print, where a run is interrupted, how to resume it."""
    try:
        yield
    except KeyboardInterrupt:
        console.print("Interrupted. Run the same command again to resume.")
        raise typer.Exit(130) from None


def print_skipped(skipped: Iterable[Mapping[str, str]], prefix: str = "") -> None:
    """Print the clips that were skipped, each with the reason."""
    for row in skipped:
        text = f"{prefix}skipped {row['id']}: {row['reason']}"
        console.print(text, style="yellow", soft_wrap=True, markup=False)
