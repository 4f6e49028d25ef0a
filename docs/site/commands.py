"""The help of every command as Markdown, by Typer's own generator."""

from __future__ import annotations

import re

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from sdmetrics.cli import app


def commands() -> str:
    """Return a section for each command, with its usage, arguments and options."""
    command = get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="sdmetrics")
    # Below the page's title, and without the lists of commands, which are cut short and next to the page in full.
    return "\n#" + re.sub(r"^\*\*Commands\*\*:\n\n(?:\*.*\n)+\n", "", text, flags=re.MULTILINE)
