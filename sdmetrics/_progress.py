"""A progress bar on terminals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sdmetrics._text import printable


@contextmanager
def progress_bar(title: str, total: int, done: int = 0, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show how much of `total` is done, and yield a function that advances it by a number of steps.

    Nothing is shown if standard error is not a terminal or `rich` is not installed.

    Examples
    --------
    >>> with progress_bar("clips", total=2, shown=False) as advance:
    ...     advance(1)
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        shown = False
    if not shown or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _count: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(printable(title), total=total, completed=done)
        yield lambda count: progress.advance(task, count)
