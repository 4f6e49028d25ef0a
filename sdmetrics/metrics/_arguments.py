"""Checks of arguments that may be anything at all: what does not fit is one line, never a library's own error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._text import printable
from sdmetrics.errors import InputError, one_line

BFLOAT16_EPS = 2.0**-7
"""Machine epsilon of bfloat16, which NumPy does not have."""


def whole(name: str, value: object, least: int) -> int:
    """Return an argument that is a whole number.

    Raises
    ------
    InputError
        If it is anything else, or too small.

    Examples
    --------
    >>> whole("seed", -1, least=0)
    Traceback (most recent call last):
    sdmetrics.errors.InputError: seed is -1; expected at least 0
    """
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise InputError(f"{name} is {_shown(value)}; expected a whole number, at least {least}")
    number = int(value)
    if not least <= number < 2**63:
        raise InputError(f"{name} is {_shown(value)}; expected at least {least}{', below 2**63' * (number >= least)}")
    return number


def between(name: str, value: object, low: float, high: float, hint: str) -> float:
    """Return an argument that is a number from `low` to `high`.

    Raises
    ------
    InputError
        If it is anything else; `hint` follows the allowed range.

    Examples
    --------
    >>> between("fraction", "half", 0, 1, "For 10 % pass 0.1")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: fraction is 'half'; expected: 0 to 1. For 10 % pass 0.1
    """
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not real or not low <= value <= high:  # type: ignore[operator]
        raise InputError(f"{name} is {_shown(value)}; expected: {low:g} to {high:g}{hint and '. ' + hint}")
    return float(value)  # type: ignore[arg-type]


def one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    """Raise an `InputError` unless an argument is one of some names.

    Examples
    --------
    >>> one_of("estimator", ["icc"], ("pearson", "icc"))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: estimator is ['icc']; allowed: pearson, icc
    """
    if not isinstance(value, str) or value not in allowed:
        raise InputError(f"{name} is {_shown(value)}; allowed: {', '.join(allowed)}")


def as_array(name: str, value: Any) -> tuple[NDArray[Any], float]:  # noqa: ANN401 (whatever is passed)
    """Return an argument as an array, and the machine epsilon of bfloat16 if it was of that type, otherwise 0.

    Tensors of torch may need gradients, be on another device, or be bfloat16.

    Raises
    ------
    InputError
        If it is not an array, or some of its values are masked, which NumPy would use all the same.

    Examples
    --------
    >>> as_array("z1", np.ma.masked_equal([[1.0, -1.0]], -1))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: z1 is a masked array of which 1 values are masked; leave these pairs out
    """
    eps = 0.0
    try:
        if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):
            value = value.detach().cpu()
            if str(value.dtype) == "torch.bfloat16":
                value, eps = value.float(), BFLOAT16_EPS
        array = np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:
        raise InputError(f"{name} is a {type(value).__name__} that cannot be an array: {one_line(error)}") from None
    if np.ma.is_masked(value):
        masked = int(np.ma.getmaskarray(value).sum())
        raise InputError(f"{name} is a masked array of which {masked} values are masked; leave these pairs out")
    return array, eps


def _shown(value: object) -> str:
    """Return a value as it is shown in a message: on one line, and short."""
    try:
        text = str(value) if isinstance(value, (int, float, np.integer, np.floating)) else printable(repr(value))
    except Exception:  # of its own repr, or an integer of too many digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:60]}…"
