"""CSV manifests: lists of videos with their labels and segments."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sdmetrics._reading import read_text
from sdmetrics._text import printable
from sdmetrics.errors import InputError

COLUMNS = ("path", "label", "start", "end")
HEADS = {*COLUMNS, "video", "clip", "file", "filename", "name", "class", "id"}
"""Words in the names of columns: such a line is not a video with its label."""
MOST_WORDS = 64
"""Of a first line, after which a path may end."""


@dataclass(frozen=True)
class Row:
    """One line of a manifest; `where` names the line for errors."""

    where: str
    path: str
    label: str | None
    start: float | None
    end: float | None


def names_columns(text: str, exists: Callable[[str], bool]) -> bool:
    """Return whether the first line of a list names columns, right or wrong, and is not a video with its label.

    A line that merely has a word of names of columns in it, e.g. `clip_wave wave`, is a video if `exists` knows one.

    Examples
    --------
    >>> nothing = lambda path: False
    >>> names_columns("path,label", nothing), names_columns("labels/a1.mp4,label", nothing)
    (True, False)
    >>> names_columns("clip_wave wave", nothing), names_columns("clip_wave wave", "clip_wave".__eq__)
    (True, False)
    """
    line = text.lstrip().partition("\n")[0].lstrip('"')
    heads = [head.strip(' \r"') for head in re.split(r"[,;\t]", line.lower())]
    words = {word for head in heads for word in re.split(r"[\s_\"]+", head)}
    if not words & HEADS or not all(re.fullmatch(r'[\s"a-z_]*', head) for head in heads):
        return False
    ends = islice(re.finditer(r'[\s",;]+|$', line), MOST_WORDS)
    return bool(HEADS & {*heads}) or not any(exists(line[: end.start()]) for end in ends)


def read_manifest(path: Path) -> Iterator[Row]:
    """Yield the lines of a list whose first line names its columns, separated by commas or tabs.

    `path` and, optionally, `label`, `start`, `end`.

    Raises
    ------
    InputError
        If the file or a line is wrong; the message names file and line.
    """
    text, shown = read_text(path), printable(path)
    separator = "\t" if "\t" in text.partition("\n")[0] else ","
    try:
        # A StringIO would take four bytes a character.
        lines = io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8", newline="")
        reader = csv.DictReader(lines, delimiter=separator, skipinitialspace=True, strict=True)
        columns = list(reader.fieldnames or [])
        if "path" not in columns or not set(columns) <= set(COLUMNS) or len(set(columns)) < len(columns):
            raise InputError(
                f"{shown} has the columns {printable(', '.join(columns)) or 'none'}; "
                f"allowed: {', '.join(COLUMNS)}, of which path is required. Correct the first line"
            )
        empty = True
        for values in reader:
            empty = False
            yield _row(values, f"{shown}, line {reader.line_num},")
    except csv.Error as error:
        raise InputError(f"{shown} cannot be read as a CSV manifest ({error}); correct the quotes") from error
    if empty:
        raise InputError(f"{shown} lists no video; add lines with the columns {', '.join(COLUMNS)}")


def _row(values: dict[str, str | None], where: str) -> Row:
    """Check the values of one line."""
    if None in values:
        raise InputError(f"{where} has more values than columns; put values that contain a comma in quotes")
    name = values["path"]
    if not name:
        raise InputError(f"{where} has no path; add a path or remove the line")
    start, end = (_seconds(values.get(column), column, where) for column in ("start", "end"))
    if end is not None and end <= (start or 0):
        raise InputError(f"{where} starts at {start or 0:g} s and ends at {end:g} s; the end must be later")
    return Row(where, name, values.get("label") or None, start, end)


def _seconds(value: str | None, column: str, where: str) -> float | None:
    """Return a time in seconds, or None for an empty value."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(f"{where} has the {column} {value!r}; expected seconds from 0 on, or an empty value")
    return seconds
