"""Text from outside (names of layers, files, models), made safe to print."""

from __future__ import annotations

import unicodedata
from typing import Any

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of characters that steer a terminal, reorder a line or break it."""


def printable(text: object) -> str:
    r"""Return text on one line in which every control, format or surrogate character is written as an escape.

    Examples
    --------
    >>> printable("layer\x1b[31m")
    'layer\\x1b[31m'
    >>> printable("exp[lr=0.1] é")
    'exp[lr=0.1] é'
    """
    shown = str(text)
    return shown if shown.isprintable() else "".join(map(_escaped, shown))


def printable_values(document: Any, longest: int | None = None) -> Any:  # noqa: ANN401
    r"""Return a JSON document in which every text is printable. Keys stay as they are.

    Texts of more than `longest` characters lose their middle.

    Examples
    --------
    >>> printable_values({"names": ["a\x1b", 3]})
    {'names': ['a\\x1b', 3]}
    """
    if isinstance(document, dict):
        return {key: printable_values(value, longest) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [printable_values(value, longest) for value in document]
    if not isinstance(document, str):
        return document
    text = printable(document)
    return text if longest is None or len(text) <= longest else f"{text[: longest // 2]}…{text[-longest // 2 + 1 :]}"


def _escaped(character: str) -> str:
    """Return a character that shows, or its escape. The last two of each plane are no characters: SVG lacks them."""
    hidden = unicodedata.category(character) in HIDDEN or ord(character) & 0xFFFE == 0xFFFE
    return character.encode("unicode_escape").decode("ascii") if hidden else character
