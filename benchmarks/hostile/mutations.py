"""Ways to spoil bytes, text and JSON documents, each decided by a generator alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from numpy.random import Generator

ESCAPE = "\x1b]0;x\x07\u202e[/]<b>\n"
"""Steers a terminal, reverses a line, and is markup in two languages."""

VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**63, 10**400, 1e308, float("nan"), float("-inf"), 0.5,
    "", "x", ESCAPE, "../" * 40 + "etc/passwd", "/dev/zero", "a" * 100_000, "\0", "9" * 5000,
    [], {}, [None], {"": {}}, [[]] * 50,
)  # fmt: skip
"""Values that a field may not expect."""


def spoiled_bytes(data: bytes, rng: Generator) -> bytes:
    """Return bytes with one to four spoiled places."""
    for _ in range(int(rng.integers(1, 5))):
        data = _BYTES[int(rng.integers(len(_BYTES)))](data, rng)
    return data


def spoiled_text(text: str, rng: Generator) -> bytes:
    """Return the bytes of a text with one to three spoiled lines, and perhaps in another encoding."""
    lines = text.splitlines()
    for _ in range(int(rng.integers(1, 4))):
        index = int(rng.integers(len(lines) + 1))
        lines[index:index] = [str(_pick(rng, VALUES))] if rng.random() < 0.3 else []
        if rng.random() < 0.5 and lines:
            index = int(rng.integers(len(lines)))
            lines[index] = _spoiled_line(lines[index], rng)
    joined = str(_pick(rng, ("\n", "\r\n", "\r", "\n\n"))).join(lines)
    encoding = str(_pick(rng, ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1")))
    return joined.encode(encoding, "replace")


def spoiled_json(document: Any, rng: Generator) -> bytes:  # noqa: ANN401
    """Return the text of a document with one to three spoiled values."""
    spoiled = copy.deepcopy(document)
    for _ in range(int(rng.integers(1, 4))):
        _spoil_inside(spoiled, rng)
    if rng.random() < 0.05:
        return (b"[" * 100_000) if rng.random() < 0.5 else b'{"a":' * 100_000
    text = json.dumps(spoiled).encode()
    return spoiled_bytes(text, rng) if rng.random() < 0.2 else text


def _spoil_inside(document: Any, rng: Generator) -> None:  # noqa: ANN401
    """Change a document at one place, as deep as the generator goes."""
    place = document
    while isinstance(place, (dict, list)) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = keys[int(rng.integers(len(keys)))]
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner or rng.random() < 0.25:
            _spoil_entry(place, key, rng)
            return
        place = inner


def _spoil_entry(place: Any, key: Any, rng: Generator) -> None:  # noqa: ANN401
    """Replace, remove, double or rename one entry of an object or a list."""
    way = rng.random()
    if way < 0.6:
        place[key] = copy.deepcopy(_pick(rng, VALUES))
    elif way < 0.75:
        del place[key]
    elif isinstance(place, list):
        place.insert(key, copy.deepcopy(place[key]))
    else:
        place[str(_pick(rng, ("", ESCAPE, "x", "name")))] = place.pop(key)


def _spoiled_line(line: str, rng: Generator) -> str:
    """Return a line without, with a doubled, or with a strange field."""
    for separator in (",", "\t", " "):
        if separator in line:
            fields = line.split(separator)
            index = int(rng.integers(len(fields)))
            fields[index : index + 1] = _pick(rng, ([], [fields[index]] * 2, [str(_pick(rng, VALUES))], ['"']))
            return separator.join(fields)
    return line[: int(rng.integers(len(line) + 1))] + str(_pick(rng, VALUES))


def _pick(rng: Generator, choices: tuple[Any, ...]) -> Any:  # noqa: ANN401
    """Return one of several values."""
    return choices[int(rng.integers(len(choices)))]


def _place(data: bytes, rng: Generator) -> tuple[int, int]:
    """Return begin and end of a stretch of bytes; half of them lie in the first 200, where headers are."""
    begin = int(rng.integers(max(1, min(len(data), 200) if rng.random() < 0.5 else len(data))))
    return begin, min(len(data), begin + int(2 ** rng.uniform(0, 9)))


def _flip(data: bytes, rng: Generator) -> bytes:
    begin, _ = _place(data, rng)
    return data[:begin] + bytes([data[begin] ^ (1 << int(rng.integers(8)))]) + data[begin + 1 :] if data else data


def _overwrite(data: bytes, rng: Generator) -> bytes:
    begin, end = _place(data, rng)
    kind = int(rng.integers(3))
    fill = rng.bytes(end - begin) if kind == 0 else bytes([255 * (kind - 1)]) * (end - begin)
    return data[:begin] + fill + data[end:]


def _large_number(data: bytes, rng: Generator) -> bytes:
    begin, _ = _place(data, rng)
    number = int(_pick(rng, (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 65535, 1_000_000)))
    order = "big" if rng.random() < 0.5 else "little"
    return data[:begin] + number.to_bytes(4, order) + data[begin + 4 :]  # type: ignore[arg-type]


def _cut_out(data: bytes, rng: Generator) -> bytes:
    begin, end = _place(data, rng)
    return data[:begin] + data[end:]


def _doubled(data: bytes, rng: Generator) -> bytes:
    begin, end = _place(data, rng)
    return data[:end] + data[begin:]


def _truncated(data: bytes, rng: Generator) -> bytes:
    return data[: int(len(data) * rng.random())]


_BYTES: tuple[Callable[[bytes, Generator], bytes], ...] = (
    _flip, _flip, _overwrite, _large_number, _cut_out, _doubled, _truncated,
)  # fmt: skip
