"""Reads `--input`: how one input of a model is fed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import SOURCES

EXAMPLE = "flow source=flow layout=NCHW frames=1 size=224,224 mean=0.5,0.5,0.5"


def _numbers(kind: Callable[[str], Any], count: int) -> Callable[[str], tuple[Any, ...]]:
    """Return what reads so many numbers, with commas between them."""

    def read(text: str) -> tuple[Any, ...]:
        numbers = tuple(kind(part) for part in text.split(","))
        if len(numbers) != count:
            raise ValueError(f"{count} numbers are needed")
        return numbers

    return read


FIELDS: Mapping[str, Callable[[str], Any]] = {
    "source": str,
    "layout": str,
    "frames": int,
    "stride": int,
    "size": _numbers(int, 2),
    "mean": _numbers(float, 3),
    "std": _numbers(float, 3),
}


def parse_inputs(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return by the names of inputs the fields of `ModelInput` that are said of them.

    Raises
    ------
    InputError
        If a text is not a name and `field=value` after it, with the nearest thing that would do.

    Examples
    --------
    >>> parse_inputs(["flow source=flow size=48,64"])
    {'flow': {'source': 'flow', 'size': (48, 64)}}
    """
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, *pairs = text.split() or [""]
        if not pairs or "=" in name:
            raise InputError(f"--input {text!r} does not say how an input is fed; write such as --input '{EXAMPLE}'")
        if name in found:
            raise InputError(f"--input describes {name!r} twice; say all of it in one")
        found[name] = dict(_field(pair, text) for pair in pairs)
    return found


def _field(pair: str, text: str) -> tuple[str, Any]:
    """Read one `field=value`."""
    field, equals, value = pair.partition("=")
    if not equals or field not in FIELDS:
        raise InputError(
            f"--input {text!r} says {pair!r}; allowed: {', '.join(FIELDS)}, each as FIELD=VALUE, such as '{EXAMPLE}'"
        )
    try:
        read = FIELDS[field](value)
    except ValueError:
        raise InputError(
            f"--input {text!r} gives {field} as {value!r}; numbers go with commas and no blanks, such as '{EXAMPLE}'"
        ) from None
    if field == "source" and read not in SOURCES:
        raise InputError(f"--input {text!r} gives the source {value!r}; allowed: {', '.join(SOURCES)}")
    return field, read
