"""Silence libraries that log and warn about what this package reports itself, unless their messages are asked for."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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
    """While the block runs, drop all warnings and the messages of the named loggers.

    The root logger gets a handler that does nothing, so that no library sets up one that prints.
    """
    if _shown:
        yield
        return
    root, silent = logging.getLogger(), logging.NullHandler()
    named = [logging.getLogger(name) for name in loggers]
    levels = [logger.level for logger in named]
    root.addHandler(silent)
    for logger in named:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(named, levels, strict=True):
            logger.setLevel(level)
        root.removeHandler(silent)


@contextmanager
def silent_stderr() -> Iterator[None]:
    """While the block runs, drop what compiled code writes to standard error past Python; only for short calls."""
    if _shown:
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
