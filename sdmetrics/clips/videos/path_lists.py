"""Lists without column names: a path and, after it, a label, as training code reads them."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sdmetrics._text import printable
from sdmetrics.clips.videos.listing import VIDEO_SUFFIXES
from sdmetrics.errors import InputError

SEPARATORS = ("\t", ",", " ")
LONGEST = 4096
"""Characters of a line; no path is longer."""
MOST_FIELDS = 64
ENDS_AS_VIDEO = re.compile(rf"(?:{'|'.join(map(re.escape, VIDEO_SUFFIXES))})$", re.IGNORECASE)
HOLDS_VIDEO = re.compile(rf'(?:{"|".join(map(re.escape, VIDEO_SUFFIXES))})(?=[\s,"]|$)', re.IGNORECASE)
WHOLE_NUMBER = re.compile(r"-?\d{1,9}")


@dataclass(frozen=True)
class Entry:
    """One line of a list; `where` names the line for errors.

    Parameters
    ----------
    path
        A video or a folder of frames.
    label
        A name or a number; None where the line is only a path.
    first, frames
        Of a folder of frames: how many frames are left out at its beginning, and how many are read after them; None
        where the line does not tell.
    """

    where: str
    path: str
    label: str | None = None
    first: int | None = None
    frames: int | None = None


def read_path_list(
    shown: str, text: str, exists: Callable[[str], bool], is_folder: Callable[[str], bool]
) -> list[Entry]:
    """Read the lines `path`, `path label`, `folder frames label` or `folder first frames label`.

    Fields are separated by tabs, commas or spaces. Lines are read from the right, so that paths may contain the
    separator; a label of several words is read after a video's suffix.

    Parameters
    ----------
    shown
        The name of the list, for errors.
    text
        Its content.
    exists
        Returns whether there is a video or a folder at a path: of several ways to read a line, the only one that names
        something is right.
    is_folder
        Returns whether there is a folder at a path: numbers of frames after names of videos are right only in a list
        that names some.

    Raises
    ------
    InputError
        If a line can be read in no way or in several; the message names the line.

    Examples
    --------
    >>> anything, nothing = lambda path: True, lambda path: False
    >>> read_path_list("list.txt", "my clips/a b.mp4 riding a bike", anything, nothing)
    [Entry(where='list.txt, line 1,', path='my clips/a b.mp4', label='riding a bike', first=None, frames=None)]
    >>> read_path_list("list.txt", "some/folder 12 163 3", lambda path: path == "some/folder", anything)
    [Entry(where='list.txt, line 1,', path='some/folder', label='3', first=12, frames=163)]
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    for number, line in lines:
        if len(line) > LONGEST:
            raise InputError(f"{shown}, line {number}, has {len(line):,} characters; expected a path and a label")
    separator = _separator([line for _, line in lines])
    entries = [_entry(f"{shown}, line {number},", line, separator, exists) for number, line in lines]
    counted = [
        (entry, line)
        for entry, (_, line) in zip(entries, lines, strict=True)
        if entry.frames is not None and ENDS_AS_VIDEO.search(entry.path)
    ]
    if counted and not any(is_folder(entry.path) for entry, _ in counted):
        raise _unreadable(counted[0][0].where, counted[0][1], [])
    return entries


def check_alike(entries: Sequence[Entry]) -> None:
    """Check that all lines of a list have the same fields.

    Raises
    ------
    InputError
        If two lines differ; the message names both.
    """
    for entry in entries[1:]:
        if _form(entry) != _form(entries[0]):
            raise InputError(
                f"{entry.where} is {_form(entry)}, and {entries[0].where.rstrip(',')} is {_form(entries[0])}; write "
                "all lines alike, separated by tabs if names contain spaces or commas"
            )


def _separator(lines: Sequence[str]) -> str:
    """Return what separates the fields of all lines."""

    def separates(separator: str) -> bool:
        return all(separator in line and (not HOLDS_VIDEO.search(line) or _cuts(line, separator)) for line in lines)

    return next(filter(separates, SEPARATORS), " ")


def _fields(line: str, separator: str) -> list[str]:
    """Split a line; fields that contain the separator may be in quotes."""
    if '"' in line:
        try:
            return next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True))
        except csv.Error:
            return line.split(separator)
    return line.split(separator)


def _cuts(line: str, separator: str) -> list[int]:
    """Return after how many fields the path may end: after a video's suffix, where the line has any."""
    fields = _fields(line, separator)
    ends = [end for end, field in enumerate(fields, 1) if ENDS_AS_VIDEO.search(field.strip())]
    return ends if HOLDS_VIDEO.search(line) else list(range(1, len(fields) + 1))


def _entry(where: str, line: str, separator: str, exists: Callable[[str], bool]) -> Entry:
    """Read one line."""
    fields, cuts = _fields(line, separator), _cuts(line, separator)
    if len(cuts) > MOST_FIELDS:
        raise InputError(f"{where} has {len(fields)} fields; expected a path and a label, separated by a tab")
    is_video = bool(HOLDS_VIDEO.search(line))
    readings = list(_readings(where, fields, cuts, separator))
    found = [reading for reading in readings if exists(reading.path)] if len(readings) > 1 else readings
    if len(found) == 1:
        return found[0]
    # Of a path that is not there, the rightmost video or the first field is named as missing.
    if readings and not found and len({reading.path for reading in readings if is_video}) <= 1:
        return readings[-1] if is_video else readings[0]
    raise _unreadable(where, line, (found or readings)[:2])


def _unreadable(where: str, line: str, readings: Sequence[Entry]) -> InputError:
    """Return the error for a line that can be read in no way, or in several."""
    ways = " or ".join(f"{reading.path!r} with the label {reading.label!r}" for reading in readings)
    return InputError(
        f"{where} is {printable(line[:100])!r}, which can be read {'as ' + ways if ways else 'in no way'}; expected a "
        "path and one label, or a folder, its number of frames and a label. Separate them by tabs"
    )


def _readings(where: str, fields: Sequence[str], cuts: Iterable[int], separator: str) -> Iterator[Entry]:
    """Yield the ways in which a line can be read."""
    for cut in cuts:
        path = separator.join(fields[:cut]).strip()
        rest = [field.strip() for field in fields[cut:] if field.strip()]
        numbers = [int(field) for field in rest if WHOLE_NUMBER.fullmatch(field)]
        if not path or not fields[cut - 1].strip():
            continue
        if len(rest) <= 1:
            yield Entry(where, path, rest[0] if rest else None)
        elif len(numbers) == len(rest) <= 3 and min(numbers) >= 0:
            *first, frames, _ = numbers
            yield Entry(where, path, rest[-1], first[0] if first else None, frames)
        elif not numbers and separator == " ":
            yield Entry(where, path, " ".join(rest))


def _form(entry: Entry) -> str:
    """Describe the fields of a line."""
    if entry.frames is not None:
        return f"a folder with {'a first frame, ' if entry.first is not None else ''}a number of frames and a label"
    return "only a path" if entry.label is None else "a path with a label"
