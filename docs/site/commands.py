"""The help of every command as Markdown, by Typer's own generator."""

from __future__ import annotations

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from sdmetrics.cli import app


def commands() -> str:
    """Return a section for each command, with its usage, arguments and options."""
    command = get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="sdmetrics")
    return "\n#" + text  # below the page's title
