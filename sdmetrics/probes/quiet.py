"""Silence libraries that log and warn about what this package reports itself, unless their messages are asked for."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout

_shown = False


def show_logs(shown: bool = True) -> None:
    """Let libraries log and warn as they do without this package, e.g. to find out why one fails."""
    global _shown
    _shown = shown


def logs_shown() -> bool:
    """Return whether libraries may log."""
    return _shown


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """While the block runs, drop all warnings, what Python code prints, and what the named loggers and theirs log.

    The root logger gets a handler that does nothing, so that no library sets up one that prints.
    """
    if _shown:
        yield
        return
    root, silent = logging.getLogger(), logging.NullHandler()
    named = [*map(logging.getLogger, loggers), *_below(loggers)]
    states = [logger.disabled for logger in named]
    root.addHandler(silent)
    for logger in named:
        logger.disabled = True
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, state in zip(named, states, strict=True):
            logger.disabled = state
        root.removeHandler(silent)


def _below(names: Sequence[str]) -> list[logging.Logger]:
    """Return the loggers whose names begin with one of these and a dot; they have levels and handlers of their own."""
    known = dict(logging.root.manager.loggerDict)
    below = tuple(f"{name}." for name in names)
    return [logger for name, logger in known.items() if isinstance(logger, logging.Logger) and name.startswith(below)]


@contextmanager
def silent_stderr() -> Iterator[None]:
    """While the block runs, drop what compiled code writes to standard error past Python; only for short calls."""
    if _shown or sys.stderr is None:
        yield
        return
    _stderr.drop()
    try:
        yield
    finally:
        _stderr.restore()


class _Stderr:
    """The standard error of the process: nowhere as long as a block of any thread wants it dropped."""

    def __init__(self) -> None:
        self.lock, self.blocks, self.kept = threading.Lock(), 0, -1

    def drop(self) -> None:
        """Let the first block that begins put nothing in its place."""
        with self.lock:
            if not self.blocks:
                _flush()
                self.kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 2)
                os.close(nowhere)
            self.blocks += 1

    def restore(self) -> None:
        """Let the last block that ends put it back."""
        with self.lock:
            self.blocks -= 1
            if not self.blocks:
                _flush()
                os.dup2(self.kept, 2)
                os.close(self.kept)


def _flush() -> None:
    """Write what Python still holds of standard error, which may be gone by now."""
    if sys.stderr is not None:
        sys.stderr.flush()


_stderr = _Stderr()
