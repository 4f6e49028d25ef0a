"""Errors in how a command was called, as one line like every other error."""

from __future__ import annotations

from typing import cast

import typer

# Typer exports the error of a wrong value only; its base is the class of all errors in a call.
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])


def usage_line(error: typer.BadParameter) -> str:
    """Return what is wrong with the call, and where help is. It is empty if the help itself was printed.

    Examples
    --------
    >>> usage_line(typer.BadParameter("0 is not in the range x>=1.", param_hint="--batch"))
    'invalid value for --batch: 0 is not in the range x>=1; see sdmetrics COMMAND --help'
    """
    text = error.format_message().strip().rstrip(".")
    if not text or type(error).__name__ == "NoArgsIsHelpError":
        return ""
    command = error.ctx.command_path if error.ctx else "sdmetrics COMMAND"
    return f"{text[0].lower()}{text[1:]}{_passed(error)}; see {command} --help"


def _passed(error: Exception) -> str:
    """Return the value that was passed, which the messages of Pydantic leave out."""
    errors = getattr(error.__cause__, "errors", list)
    return "".join(f", got {row['input']!r}" for row in errors()[:1])
