"""Errors that users can fix: each message names the value, what is allowed and what to do next."""

from __future__ import annotations

import difflib
import importlib
import re
import warnings
from collections.abc import Iterable
from types import ModuleType

STYLED = re.compile(r"\x1b\[[0-9;]*m")
"""Sequences by which a terminal shows text in bold or colour."""


class InputError(ValueError):
    """An argument or a file cannot be used. The message is one line that a user can act on.

    Examples
    --------
    >>> raise InputError("threshold is 1.5; allowed: 0 to 1. Use a smaller threshold")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: threshold is 1.5; allowed: 0 to 1. Use a smaller threshold
    """


class MissingExtra(ImportError):
    """An optional dependency is missing, or cannot work here. The message says how it can."""


class Note(UserWarning):
    """Something was left out, repeated or assumed. The commands print it as a line that begins with `note:`."""


def note(message: str) -> None:
    """Tell the user what was left out, repeated or assumed, with counts; Python shows it as a `Note`.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True, action="always") as shown:
    ...     note("list.txt: 2 of 9 entries are not read: they are doubled")
    >>> str(shown[0].message)
    'list.txt: 2 of 9 entries are not read: they are doubled'
    """
    warnings.warn(message, Note, stacklevel=3)


def require(module: str, extra: str) -> ModuleType:
    """Import a module of an optional dependency.

    Raises
    ------
    MissingExtra
        If it cannot be imported; the message names the extra of this distribution that installs it.

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


def one_line(error: BaseException) -> str:
    r"""Return the first line of an error's message, to quote it in another, without bold and colour.

    Examples
    --------
    >>> one_line(ValueError("\x1b[1mno such file\x1b[0m\n(1) Look for it"))
    'no such file'
    """
    lines = [line.strip() for line in STYLED.sub("", str(error)).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def suggest(name: str, offered: Iterable[str]) -> str:
    """Return a sentence with the offered names nearest to `name`.

    Examples
    --------
    >>> suggest("layer5", ["stem", "layer1", "layer2"])
    'The nearest names: layer2, layer1'
    >>> suggest("x", ["stem", "layer1"])
    'The names: stem, layer1'
    """
    names = [item for item in offered if item]
    near = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
    if near:
        return f"The nearest names: {', '.join(near)}"
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"The names: {', '.join(names[:12])}{more}"


def load_library(module: str) -> ModuleType:
    """Import a module of a library that builds architectures.

    Raises
    ------
    MissingExtra
        If the library is not installed.
    InputError
        If it does not load beside the torch that is installed.

    Examples
    --------
    >>> load_library("json").__name__
    'json'
    """
    try:
        return require(module, extra="catalogue")
    # What torchvision raises if its compiled operators were built for another torch.
    except RuntimeError as error:
        torch = require("torch", extra="catalogue")
        reason = " ".join(str(error).split())
        raise InputError(
            f"{module} cannot be imported beside torch {torch.__version__} ({reason}). Install a torch and a "
            "torchvision that belong together, both from one place: pip install --force-reinstall torch torchvision"
        ) from None
