"""HMDB51's splits: one file per class and split, named after both, whose lines tell what a video is used for."""

from __future__ import annotations

import re
from pathlib import Path

from sdmetrics._reading import read_text
from sdmetrics._text import printable
from sdmetrics.clips.videos.path_lists import Entry
from sdmetrics.clips.videos.survey import counted
from sdmetrics.errors import InputError, note

FILE = re.compile(r"(?P<label>.+)_test_split(?P<number>[0-9])\.txt")
LINE = re.compile(r"(?P<name>\S.*?)\s+(?P<use>[012])")
USES = {"train": "1", "test": "2"}
"""0: not used."""
SPLIT = re.compile(r"(?P<use>train|test)(?P<number>[0-9]?)")


def is_hmdb51(path: Path) -> bool:
    """Return whether a path is such a file, or a folder with some and nothing else.

    Examples
    --------
    >>> is_hmdb51(Path("splits/brush_hair_test_split1.txt"))
    True
    """
    if not path.is_dir():
        return bool(FILE.fullmatch(path.name))
    try:
        shown = [file.name for file in path.iterdir() if not file.name.startswith(".")]
    except OSError:  # said by whoever lists the folder
        return False
    return bool(shown) and all(map(FILE.fullmatch, shown))


def read_hmdb51(path: Path, split: str | None) -> list[Entry]:
    """Read the videos of one split, `CLASS/NAME`, with their classes.

    Parameters
    ----------
    path
        One of the files, or their folder.
    split
        `"test"` (default) or `"train"`; for a folder with several splits with the number, e.g. `"test1"`.

    Raises
    ------
    InputError
        If the split is not one of those, or a line is wrong.
    """
    files = [path] if not path.is_dir() else sorted(path.glob("*_test_split?.txt"))
    matches = {file: match for file in files if (match := FILE.fullmatch(file.name))}
    numbers = sorted({match["number"] for match in matches.values()})
    asked = SPLIT.fullmatch(split or "test")
    number = asked["number"] or (numbers[0] if len(numbers) == 1 else "") if asked else ""
    if asked is None or number not in numbers:
        allowed = ", ".join(f"{use}{each}" for each in numbers for use in USES)
        shown = printable(split)
        raise InputError(f"split is {shown}, and {printable(path)} has the splits {allowed}; pass one of them")
    entries, counts = [], {"0": 0, "1": 0, "2": 0}
    for file, match in matches.items():
        if match["number"] != number:
            continue
        for place, line in enumerate(read_text(file).splitlines(), 1):
            if not line.strip():
                continue
            where = f"{printable(file)}, line {place},"
            parts = LINE.fullmatch(line.strip())
            if parts is None:
                raise InputError(
                    f"{where} is {line[:100]!r}; expected a video, then 0 (not used), 1 (train) or 2 (test)"
                )
            counts[parts["use"]] += 1
            if parts["use"] == USES[asked["use"]]:
                entries.append(Entry(where, f"{match['label']}/{parts['name']}", match["label"]))
    if not entries:
        raise InputError(f"{printable(path)} has no video of the split {asked['use']}{number}; pass another split")
    others = sum(counts.values()) - len(entries)
    left_out = f"; {others} of other splits or of none left out" if others else ""
    note(f"{printable(path)}: {counted(len(entries), 'video')} of the split {asked['use']}{number} read{left_out}")
    return entries
