"""The classes of a model, from the files in which they are published."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from reprlib import repr as shortened

from sdmetrics._reading import read_json, read_text
from sdmetrics._text import printable
from sdmetrics.errors import InputError, note

DIGITS = 9
"""No model has more outputs, and Python refuses to convert very long numbers."""
NUMBERED = re.compile(rf"(\d{{1,{DIGITS}}})[\s,]+(\S.*)")
"""A line of UCF101's `classInd.txt`."""
NAME_COLUMNS = frozenset({"name", "class", "label"})
NUMBER_COLUMNS = frozenset({"id", "index"})


class Classes(dict[str, int]):
    """The index of the model's output for each class name.

    Parameters
    ----------
    pairs
        Names and the numbers that the file gives them: 0, 1, 2, … or 1, 2, 3, …, in any order.
    first
        The file's number of output 0.
    """

    def __init__(self, pairs: Iterable[tuple[str, int]] = (), first: int = 0) -> None:
        super().__init__((name, number - first) for name, number in pairs)
        self.first = first


def read_classes(path: str | Path) -> Classes:
    r"""Read the classes of a model: the index of the output by name.

    Parameters
    ----------
    path
        A text file with one name per line, in the order of the outputs; with a number and a name per line, as UCF101's
        `classInd.txt`; or a CSV file with the columns `id` and `name`, as published for Kinetics. Or a `.json` file:
        a list of names, an object that maps names to numbers or numbers to names, or the `config.json` of a model of
        Transformers. Numbers start at 0 or at 1; the first number belongs to output 0.

    Raises
    ------
    InputError
        If the file cannot be read or is empty, a name is empty or not unique, or the numbers are not consecutive from 0
        or 1, each once.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "classes.txt")
    ...     _ = path.write_text("jumping\nsitting down\n")
    ...     read_classes(path)
    {'jumping': 0, 'sitting down': 1}
    """
    path = Path(path)
    shown = printable(path)
    if path.suffix.lower() == ".json":
        # As pairs: a dict would keep only one of two equal names.
        pairs = _of_json(read_json(path, pairs_hook=_Pairs), shown)
    else:
        pairs = _of_text(read_text(path), shown)
    if not pairs:
        raise InputError(
            f"the labels {shown} are empty; expected one name per line, in the order of the model's outputs"
        )
    numbers: dict[str, int] = {}
    for given, number in pairs:
        name = _name(given, number, shown)
        if name in numbers:
            raise InputError(f"the labels {shown} have {name!r} twice; every class needs a unique name")
        numbers[name] = number
    first = min(min(numbers.values()), 1)
    if missing := sorted(set(range(first, first + len(numbers))) - set(numbers.values())):
        raise InputError(
            f"the labels {shown} have {len(numbers)} names, but none has the index {missing[0]}; expected every "
            f"index from {first} to {first + len(numbers) - 1} once"
        )
    if first:
        note(f"{shown} numbers its classes from 1; output 0 is {min(numbers, key=lambda name: numbers[name])!r}")
    return Classes(numbers.items(), first)


class _Pairs(list[tuple[str, object]]):
    """The items of a JSON object, in order, with duplicates."""


def _of_text(text: str, shown: str) -> list[tuple[object, int]]:
    """Return the names and numbers of a text file."""
    lines = text.rstrip().splitlines()
    if columns := _columns(lines):
        try:
            rows = list(csv.DictReader(lines, fieldnames=columns, skipinitialspace=True, strict=True))[1:]
        except csv.Error as error:
            raise InputError(f"the labels {shown} cannot be read as CSV ({error}); correct the quotes") from None
        return [(row["name"], _number(row["number"], row["name"], shown)) for row in rows]
    numbered = [NUMBERED.fullmatch(line.strip()) for line in lines]
    if lines and all(numbered):
        return [(match[2], int(match[1])) for match in numbered if match]
    return [(name, place) for place, name in enumerate(lines)]


def _columns(lines: list[str]) -> list[str]:
    """Return which column of a CSV file is the name and which the number; empty if its first line does not tell."""
    heads = [head.strip().strip('"').lower() for head in lines[0].split(",")] if lines else []
    kinds = ["name" if head in NAME_COLUMNS else "number" if head in NUMBER_COLUMNS else "" for head in heads]
    return kinds if kinds.count("name") == kinds.count("number") == 1 else []


def _of_json(content: object, shown: str) -> list[tuple[object, int]]:
    """Return the names and numbers of a JSON document."""
    if isinstance(content, _Pairs):
        fields = dict(content)
        # Transformers: a model's configuration, whose field tells which is the number.
        ids = fields.get("id2label")
        if isinstance(ids, _Pairs):
            return [(name, _number(key, name, shown)) for key, name in ids]
        content = fields.get("label2id", content)
    if isinstance(content, _Pairs):
        by_number = all(isinstance(name, str) and not name.isdecimal() for _, name in content)
        if by_number and content and all(key.isdecimal() for key, _ in content):
            return [(name, _number(key, name, shown)) for key, name in content]
        return [(name, _number(number, name, shown)) for name, number in content]
    if isinstance(content, list):
        return [(name, place) for place, name in enumerate(content)]
    raise InputError(
        f"the labels {shown} are {shortened(content)}; expected a list of names, or an object of names and indices"
    )


def _number(number: object, name: object, shown: str) -> int:
    """Return the number of a class."""
    if isinstance(number, str) and number.isdecimal() and len(number) <= DIGITS:
        return int(number)
    if isinstance(number, int) and not isinstance(number, bool) and number >= 0:
        return number
    raise InputError(
        f"the labels {shown} map {shortened(name)} to {shortened(number)}; expected a whole number of at least 0"
    )


def _name(name: object, number: int, shown: str) -> str:
    """Return a name without quotes, which PyTorchVideo's list of Kinetics has around names of several words."""
    text = name.strip().strip('"') if isinstance(name, str) else ""
    if not text:
        raise InputError(
            f"the labels {shown} name class {number} {shortened(name)}; expected a name for every output, in their "
            "order"
        )
    return text
