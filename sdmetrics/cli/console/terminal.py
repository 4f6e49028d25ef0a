"""The terminal as it is: names from outside are printed as text, whatever the encoding of the streams."""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path

from rich.console import Console, JustifyMethod, OverflowMethod
from rich.style import Style
from rich.text import Text

from sdmetrics._text import printable

PLAIN = {"−": "-", "–": "-", "—": "-", "’": "'", "“": '"', "”": '"', "…": "...", "×": "x", "·": "-", "→": "->"}
"""What replaces our own signs where a stream cannot encode them. A lost minus sign would be another number."""

BROKEN_PIPE = 141
"""The exit status of a command whose reader has left, as shells report it."""


class Terminal(Console):
    r"""A console whose strings are plain text on one line: never markup, emoji codes or escape sequences.

    Every string that reaches the screen, in tables too, goes through `render_str`.

    Examples
    --------
    >>> Terminal(width=60).print("exp[lr=0.1] [/] [red]x[/red] :smile: \a")
    exp[lr=0.1] [/] [red]x[/red] :smile: \x07
    """

    def render_str(
        self,
        text: str,
        *,
        style: str | Style = "",
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        **_: object,
    ) -> Text:
        """Return a string as text, with its control characters written as escapes."""
        return Text(printable(text), style=style, justify=justify, overflow=overflow)

    def on_broken_pipe(self) -> None:
        """Leave quietly if nobody reads the output any more."""
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise SystemExit(BROKEN_PIPE) from None


def prepare_streams() -> None:
    """Let standard output and error print any text: what their encoding lacks is replaced, and a closed one is null."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        # The lowest free number is taken, so no file that is written later can be taken for a standard stream.
        if getattr(sys, name) is None:
            null = Path(os.devnull).open("w" if number else "r", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, null)
    codecs.register_error("sdmetrics.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="sdmetrics.plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks by a similar sign, else by a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(" " if sign.isspace() else PLAIN.get(sign, "?") for sign in lost), error.end
