"""Silence libraries that log and warn about what this package reports itself."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """While the block runs, drop all warnings and the messages of the named loggers.

    The root logger gets a handler that does nothing, so that no library sets up one that prints.
    """
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
