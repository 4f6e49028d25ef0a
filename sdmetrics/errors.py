"""The errors a user can mend: each message names the value, what is allowed and what to do next."""

from __future__ import annotations

import importlib
from types import ModuleType


class InputError(ValueError):
    """What was given cannot be used. The message is one line a user can act on.

    Examples
    --------
    >>> raise InputError("threshold is 1.5; allowed: 0 to 1. Give a smaller threshold")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: threshold is 1.5; allowed: 0 to 1. Give a smaller threshold
    """


class MissingExtra(ImportError):
    """A package that only some rooms of the house need is not installed."""


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra of this distribution brings it.

    Raises
    ------
    MissingExtra
        If `module` cannot be imported.

    Examples
    --------
    >>> require("json", extra="cpu").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module} cannot be imported ({error}). Install it: pip install 'static-dynamic-metrics[{extra}]'"
        ) from error
