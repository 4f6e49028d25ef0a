"""The command itself, its console, and output that several commands share."""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import typer
from rich.status import Status
from rich.text import Text

from sdmetrics import _interrupts
from sdmetrics._text import printable
from sdmetrics.cli.console.terminal import Terminal
from sdmetrics.errors import Note
from sdmetrics.probes.quiet import logs_shown
from sdmetrics.report.words import caution

if TYPE_CHECKING:
    from sdmetrics.analysis.results import Results

app = typer.Typer(
    help="Does a video model look at motion, or only at single frames?\n\n"
    "Measures, layer by layer and unit by unit, how much of what a model encodes is visible in a single frame "
    "(static) and how much needs several frames (dynamic). Start with: sdmetrics demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
console = Terminal()


@contextmanager
def notes_printed() -> Iterator[None]:
    """Print every `Note` as one line; show other warnings, those of libraries, only with --verbose."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", Note)
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, Note):
                console.print(f"note: {message}", style="yellow", soft_wrap=True)
            elif logs_shown():
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


@contextmanager
def resumable() -> Iterator[None]:
    """Print how to resume a run if it is interrupted, or ended by SIGTERM or SIGUSR1 after a shard."""
    try:
        with _interrupts.finishing():
            yield
    except _interrupts.Stopped as stopped:
        console.print(
            f"Stopped: {stopped.left} of {stopped.count} shards are missing, so no results are written. Run the same "
            "command again to resume.",
            soft_wrap=True,
        )
        sys.exit(0)
    except KeyboardInterrupt:
        console.print("Interrupted. Run the same command again to resume.")
        sys.exit(130)


def working(text: str) -> Status:
    """Show a text on terminals while a `with` block runs."""
    return console.status(Text(printable(text)))


def print_skipped(skipped: Iterable[Mapping[str, str]], prefix: str = "") -> None:
    """Print the skipped clips, each with the reason."""
    for row in skipped:
        text = f"{prefix}skipped {row['id']}: {row['reason']}"
        console.print(text, style="yellow", soft_wrap=True)


def print_caution(results: Results) -> None:
    """Print what is to be kept in mind of a run's model, if anything."""
    if text := caution(results):
        console.print(f"caution: {text}", style="yellow", soft_wrap=True)


def print_part(part: object, used: int, skipped: Sequence[Mapping[str, str]], then: str) -> None:
    """Print what one part of a run did, and what to do once all parts are done."""
    console.print(f"part {part}: {used} clips used, {len(skipped)} skipped")
    print_skipped(skipped)
    console.print(f"once all parts are done: {then}", soft_wrap=True)


def join_lines(commands: typer.Typer) -> None:
    """Let help pages wrap the paragraphs of docstrings at the terminal's width, not where the source does."""
    for command in commands.registered_commands:
        text = inspect.getdoc(command.callback) if command.callback else None
        command.help = re.sub(r"(?<=\S)\n(?=\S)", " ", text) if text else None
