"""Parse `--input`: the settings of one model input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import SOURCES

EXAMPLE = "flow source=flow layout=NCHW frames=1 size=224,224 mean=0.5,0.5,0.5"


def _numbers(kind: Callable[[str], Any], count: int) -> Callable[[str], tuple[Any, ...]]:
    """Return a parser of `count` numbers that are separated by commas."""

    def read(text: str) -> tuple[Any, ...]:
        numbers = tuple(kind(part) for part in text.split(","))
        if len(numbers) != count:
            raise ValueError(f"expected {count} numbers, got {len(numbers)}")
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
    """Return the fields of `ModelInput` that are specified for each input, by the input's name.

    Raises
    ------
    InputError
        If a text is not a name followed by `field=value` pairs, or an input is described twice.

    Examples
    --------
    >>> parse_inputs(["flow source=flow size=48,64"])
    {'flow': {'source': 'flow', 'size': (48, 64)}}
    """
    inputs: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, *pairs = text.split() or [""]
        if not pairs or "=" in name:
            raise InputError(
                f"--input {text!r} has no settings; expected a name and FIELD=VALUE pairs, e.g. --input '{EXAMPLE}'"
            )
        if name in inputs:
            raise InputError(f"--input describes {name!r} twice; put all of its settings in one --input")
        inputs[name] = dict(_field(pair, text) for pair in pairs)
    return inputs


def _field(pair: str, text: str) -> tuple[str, Any]:
    """Parse one `field=value`."""
    field, equals, value = pair.partition("=")
    if not equals or field not in FIELDS:
        raise InputError(
            f"--input {text!r} contains {pair!r}; allowed: {', '.join(FIELDS)}, each as FIELD=VALUE, e.g. '{EXAMPLE}'"
        )
    try:
        parsed = FIELDS[field](value)
    except ValueError:
        raise InputError(
            f"--input {text!r} contains {pair!r}; expected numbers with commas and no spaces, e.g. '{EXAMPLE}'"
        ) from None
    if field == "source" and parsed not in SOURCES:
        raise InputError(f"--input {text!r} sets source to {value!r}; allowed: {', '.join(SOURCES)}")
    return field, parsed
