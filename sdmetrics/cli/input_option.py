"""Parse `--input`, the settings of one model input, and `--layer`, a layer and perhaps its channel axis."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdmetrics._reading import read_bytes
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import COLOURS, SAMPLINGS, SOURCES

EXAMPLE = "flow source=flow layout=NCHW frames=1 size=224,224 mean=0.5,0.5,0.5"
HELD_EXAMPLE = "input_ids constant=0 shape=1,77"
LARGEST_ARRAY = 2**28
"""Bytes of a .npy file that an input can be held at."""

AXIS = re.compile(r"(?P<name>.*\S)\s+axis=(?P<axis>\S*)", re.DOTALL)

NUMBERS = re.compile(r"(?=.*\d)[-+.\deE,]+")
"""A word of numbers, e.g. `0.5` or `0.5,-1e3`."""


def numbers(kind: Callable[[str], Any], *counts: int) -> Callable[[str], tuple[Any, ...]]:
    """Return a parser of that many numbers, separated by commas or spaces.

    Examples
    --------
    >>> numbers(float, 2, 3)("0.5, 0.5 1")
    (0.5, 0.5, 1.0)
    """

    def read(text: str) -> tuple[Any, ...]:
        found = tuple(kind(part) for part in text.replace(",", " ").split())
        if len(found) not in counts:
            raise InputError(f"has {len(found)} number(s); expected {' or '.join(map(str, counts))}")
        return found

    return read


def resize(text: str) -> int | tuple[int, int]:
    """Parse what frames are scaled to.

    Examples
    --------
    >>> resize("256"), resize("128,171")
    (256, (128, 171))
    """
    found: tuple[int, ...] = numbers(int, 1, 2)(text)
    return found[0] if len(found) == 1 else (found[0], found[1])


def _one_of(allowed: Sequence[str]) -> Callable[[str], str]:
    """Return a parser of a word."""

    def read(text: str) -> str:
        if text not in allowed:
            raise InputError(f"is {text!r}; allowed: {', '.join(allowed)}")
        return text

    return read


def _held_shape(text: str) -> tuple[int | str, ...]:
    """Parse the shape of an input that is held still."""
    entries = tuple(part if part == "N" else int(part) for part in text.replace(",", " ").split())
    if not entries or entries.count("N") > 1 or any(entry != "N" and int(entry) < 1 for entry in entries):
        raise ValueError("expected sizes from 1, and N for the clips")
    return entries


def _constant(text: str) -> Any:  # noqa: ANN401 (a number or an array)
    """Parse what an input is held at: a number, zeros, ones, or the path of a .npy file."""
    if text in ("zeros", "ones"):
        return int(text == "ones")
    if text.endswith(".npy"):
        data = read_bytes(Path(text), LARGEST_ARRAY)
        try:
            return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        except (ValueError, OSError, EOFError, MemoryError) as error:
            raise InputError(
                f"is {text}, which is not an array of numbers ({error}); save one with numpy.save"
            ) from None
    try:
        return int(text)
    except ValueError:
        return float(text)


VIDEO: Mapping[str, Callable[[str], Any]] = {
    "source": _one_of(list(SOURCES)),
    "layout": str,
    "frames": int,
    "stride": int,
    "size": numbers(int, 2),
    "mean": numbers(float, 2, 3),
    "std": numbers(float, 2, 3),
    "colours": _one_of(COLOURS),
    "limit": float,
    "resize": resize,
    "sampling": _one_of(SAMPLINGS),
    "fps": float,
}
"""Fields of an input that is video."""

HELD: Mapping[str, Callable[[str], Any]] = {"constant": _constant, "shape": _held_shape}
"""Fields of an input that is held still."""

FIELDS = {**VIDEO, **HELD}


def parse_inputs(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the fields of `ModelInput`, or of `HeldInput`, that are specified for each input, by the input's name.

    Raises
    ------
    InputError
        If a text is not a name followed by `field=value` pairs, or an input is described twice.

    Examples
    --------
    >>> parse_inputs(["flow source=flow size=48,64", "input_ids constant=0"])
    {'flow': {'source': 'flow', 'size': (48, 64)}, 'input_ids': {'constant': 0}}
    """
    inputs: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, *pairs = _words(text) or [""]
        if not pairs or "=" in name:
            raise InputError(
                f"--input {text!r} has no settings; expected a name and FIELD=VALUE pairs, e.g. --input '{EXAMPLE}', "
                f"or for an input that is not video --input '{HELD_EXAMPLE}'"
            )
        if name in inputs:
            raise InputError(f"--input describes {name!r} twice; put all of its settings in one --input")
        fields = [_field(pair, text) for pair in pairs]
        inputs[name] = dict(fields)
        if len(inputs[name]) < len(fields):
            raise InputError(f"--input {text!r} sets a field twice; set each once")
        mixed = [field for field in inputs[name] if field not in HELD] if inputs[name].keys() & HELD.keys() else []
        if mixed or ("shape" in inputs[name] and "constant" not in inputs[name]):
            raise InputError(
                f"--input {text!r} sets {', '.join(inputs[name])}; an input that is held still has a constant and "
                f"perhaps a shape, and nothing else, e.g. '{HELD_EXAMPLE}'"
            )
    return inputs


def parse_layers(texts: Sequence[str] | None) -> list[str] | dict[str, int | None] | None:
    """Return the layers that `--layer` names, with their channel axes where one is specified.

    Raises
    ------
    InputError
        If an axis is not a whole number, or a layer is named twice.

    Examples
    --------
    >>> parse_layers(["conv1", "lstm axis=3"])
    {'conv1': None, 'lstm': 3}
    >>> parse_layers(["conv1", "conv2"])
    ['conv1', 'conv2']
    """
    matches = [AXIS.fullmatch(text) for text in texts or ()]
    if texts is None or not any(matches):
        return None if texts is None else list(texts)
    found: dict[str, int | None] = {}
    for text, match in zip(texts, matches, strict=True):
        name, axis = (match["name"], match["axis"]) if match else (text, "")
        if match and not re.fullmatch(r"-?\d{1,3}", axis):
            raise InputError(f"--layer {text!r} has the axis {axis!r}; expected a whole number, e.g. '{name} axis=2'")
        if name in found:
            raise InputError(f"--layer names {name!r} twice; name it once")
        found[name] = int(axis) if match else None
    return found


def _words(text: str) -> list[str]:
    """Return a name and its `field=value` pairs; numbers that follow a value after a space belong to it."""
    words: list[str] = []
    for word in text.split():
        if len(words) > 1 and "=" not in word and NUMBERS.fullmatch(word) and "=" in words[-1]:
            words[-1] += f",{word}"
        else:
            words.append(word)
    return words


def _field(pair: str, text: str) -> tuple[str, Any]:
    """Parse one `field=value`."""
    field, equals, value = pair.partition("=")
    if not equals or field not in FIELDS:
        raise InputError(
            f"--input {text!r} contains {pair!r}; allowed: {', '.join(FIELDS)}, each as FIELD=VALUE, e.g. "
            f"'{EXAMPLE}' or '{HELD_EXAMPLE}'"
        )
    try:
        return field, FIELDS[field](value)
    except InputError as error:
        raise InputError(f"--input {text!r}: {field} {error}") from None
    except (ValueError, OverflowError):
        expected = "a number, zeros, ones or a path that ends in .npy" if field == "constant" else "numbers"
        raise InputError(f"--input {text!r} contains {pair!r}; expected {expected}, e.g. '{EXAMPLE}'") from None
