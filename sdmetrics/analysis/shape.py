"""The shape of a document: which keys it has, and which values they may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sdmetrics._text import printable

NESTING = 16
"""How deeply anything may nest. The deepest that is written has six levels."""


class ShapeError(ValueError):
    """A document has another shape than expected."""


@dataclass(frozen=True)
class Number:
    """A finite number from `low` to `high`; `None` too if it may be `undefined`."""

    low: float = -1e300
    high: float = 1e300
    whole: bool = False
    undefined: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}{' or null' if self.undefined else ''}"


@dataclass(frozen=True)
class OneOf:
    """One of several values."""

    values: Sequence[object]

    def __str__(self) -> str:
        return f"one of {', '.join(map(repr, self.values))}"


@dataclass(frozen=True)
class Maybe:
    """What the value of a key has as its shape, if the key is there."""

    shape: Any


Shape = type[str] | type[bool] | Number | OneOf | list[Any] | tuple[Any, ...] | dict[Any, Any]

COUNT = Number(0, 2**53, whole=True)
SEED = Number(0, 2**63 - 1, whole=True)
ANYTHING = OneOf(())
"""Any JSON that does not nest too deeply."""

SKIPPED = [{"id": str, "reason": str}]
"""Clips that were not used."""


def check_shape(value: object, shape: Shape, place: str) -> None:
    """Raise a `ShapeError` that names the first place where a value has another shape.

    Parameters
    ----------
    value
        A JSON value.
    shape
        A `Number`, a `OneOf`, `ANYTHING`, `str` or `bool`; a list with the shape of all items; a tuple with the shape
        of each; or an object's shape by key, where the key `str` stands for any keys, and a `Maybe` for one that
        may be left out.
    place
        The name of the value.

    Examples
    --------
    >>> check_shape({"used": -5}, {"used": COUNT}, "clips")
    Traceback (most recent call last):
    sdmetrics.analysis.shape.ShapeError: clips.used is -5; expected a whole number from 0 to 9.0072e+15
    """
    if shape is ANYTHING:
        _check_nesting(value, place)
    elif isinstance(shape, dict):
        _check_object(value, shape, place)
    elif isinstance(shape, list | tuple):
        if not isinstance(value, list) or (isinstance(shape, tuple) and len(value) != len(shape)):
            raise _wrong(value, "a list" if isinstance(shape, list) else f"a list of {len(shape)}", place)
        shapes = shape if isinstance(shape, tuple) else shape * len(value)
        for index, (item, inner) in enumerate(zip(value, shapes, strict=True)):
            check_shape(item, inner, f"{place}[{index}]")
    elif isinstance(shape, Number):
        if not _is_in(value, shape):
            raise _wrong(value, str(shape), place)
    elif isinstance(shape, OneOf):
        if not any(value is one or (type(value) is type(one) and value == one) for one in shape.values):
            raise _wrong(value, str(shape), place)
    elif type(value) is not shape:
        raise _wrong(value, "a text" if shape is str else "true or false", place)


def _check_object(value: object, shape: dict[Any, Any], place: str) -> None:
    """Check an object."""
    if not isinstance(value, dict):
        raise _wrong(value, "an object", place)
    if str in shape:
        shape = dict.fromkeys(value, shape[str])
    shape = {key: inner for key, inner in shape.items() if key in value or not isinstance(inner, Maybe)}
    for key in [*shape, *value]:
        if key not in value:
            raise ShapeError(f"{place} has no {key!r}")
        if key not in shape:
            raise ShapeError(f"{place} has {printable(repr(key)):.80}, which is not known")
    for key, inner in shape.items():
        inner = inner.shape if isinstance(inner, Maybe) else inner
        check_shape(value[key], inner, f"{place}.{printable(key):.80}")


def _check_nesting(value: object, place: str) -> None:
    """Check that a JSON value does not nest too deeply."""
    level = [value]
    for _ in range(NESTING):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise ShapeError(f"{place} nests more than {NESTING} levels deep")


def _is_in(value: object, number: Number) -> bool:
    """Return whether a value is such a number. NaN is in no range, and `True` is no number."""
    if value is None:
        return number.undefined
    kinds = int if number.whole else int | float
    return isinstance(value, kinds) and not isinstance(value, bool) and number.low <= value <= number.high


def _wrong(value: object, expected: str, place: str) -> ShapeError:
    """Return the error of a value that is not as expected."""
    if isinstance(value, dict | list):
        shown = "an object" if isinstance(value, dict) else "a list"
    else:
        shown = printable(repr(value))[:80]
    return ShapeError(f"{place} is {shown}; expected {expected}")
