"""CSV manifests: lists of videos with their labels and segments."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from sdmetrics.errors import InputError

COLUMNS = ("path", "label", "start", "end")


@dataclass(frozen=True)
class Row:
    """One line of a manifest; `where` names the line for errors."""

    where: str
    path: str
    label: str | None
    start: float | None
    end: float | None


def read_manifest(path: Path) -> list[Row]:
    """Read a CSV file whose first line names its columns: `path` and, optionally, `label`, `start`, `end`.

    Raises
    ------
    InputError
        If the file or a line is wrong; the message names file and line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            columns = list(reader.fieldnames or [])
            if "path" not in columns or not set(columns) <= set(COLUMNS) or len(set(columns)) < len(columns):
                raise InputError(
                    f"{path} has the columns {', '.join(columns) or 'none'}; "
                    f"allowed: {', '.join(COLUMNS)}, of which path is required. Correct the first line"
                )
            rows = [_row(values, f"{path}, line {reader.line_num},") for values in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a CSV manifest ({error}); write it as UTF-8 text") from error
    if not rows:
        raise InputError(f"{path} lists no video; add lines with the columns {', '.join(COLUMNS)}")
    return rows


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
