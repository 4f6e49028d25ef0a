"""Layouts: the axes of a model input, in text. `NCTHW` has one letter per axis, `NT,C,H,W` joins some of them."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, TypeVar

import numpy as np

from sdmetrics.errors import InputError

Tensor = TypeVar("Tensor", bound=Any)

ALLOWED = (
    "one letter per axis from N, C, T, H, W, in any order (NCTHW, NTHWC, …); without T for single frames (NCHW), "
    "without N for one clip at a time (CTHW), 1 for an axis of one (N1CTHW), and commas where an axis joins several "
    "(NT,C,H,W)"
)


def axes_of(layout: str) -> tuple[str, ...]:
    """Return the axes of a layout, each with the letters that are joined in it, outermost first.

    Raises
    ------
    ValueError
        If C, H or W is missing, or a letter is unknown or occurs twice.

    Examples
    --------
    >>> axes_of("NTHWC"), axes_of("NT,C,H,W"), axes_of("N1CTHW")
    (('N', 'T', 'H', 'W', 'C'), ('NT', 'C', 'H', 'W'), ('N', '', 'C', 'T', 'H', 'W'))
    """
    parts = layout.split(",") if "," in layout else list(layout)
    axes = tuple("" if part.strip() == "1" else part.strip() for part in parts)
    letters = "".join(axes)
    empty = any(not axis and part.strip() != "1" for axis, part in zip(axes, parts, strict=True))
    if empty or len(set(letters)) < len(letters) or not set("CHW") <= set(letters) <= set("NCTHW"):
        raise ValueError(f"expected {ALLOWED}")
    return axes


def clips_first(layout: str) -> str:
    """Return the layout with the clips first and one axis per letter, which every model is adapted to.

    Examples
    --------
    >>> clips_first("NT,C,H,W"), clips_first("CTHW"), clips_first("TNCHW")
    ('NTCHW', 'NCTHW', 'NTCHW')
    """
    return "N" + "".join(axes_of(layout)).replace("N", "")


def laid_out_shape(layout: str, sizes: Mapping[str, int]) -> tuple[int | None, ...]:
    """Return the shape of an input for the sizes of its letters; None where the number of clips decides.

    Examples
    --------
    >>> laid_out_shape("NT,C,H,W", {"C": 3, "T": 8, "H": 32, "W": 32})
    (None, 3, 32, 32)
    """
    return tuple(
        None if "N" in axis and "N" not in sizes else prod(sizes[letter] for letter in axis) for axis in axes_of(layout)
    )


def transposition(layout: str) -> list[int]:
    """Return which axes of a clip `(N, T, H, W, C)`, without T or without N as the layout is, come first to last.

    Examples
    --------
    >>> transposition("NCTHW"), transposition("CHW")
    ([0, 4, 1, 2, 3], [2, 0, 1])
    """
    letters = "".join(axes_of(layout))
    source = [letter for letter in "NTHWC" if letter in letters]
    return [source.index(letter) for letter in letters]


def lay_out(clips: Tensor, layout: str) -> Tensor:
    """Return clips `(N, T, H, W, C)`, an array or a tensor of torch, in a layout.

    Raises
    ------
    InputError
        If there are several clips, and the layout has no N.

    Examples
    --------
    >>> import numpy as np
    >>> lay_out(np.zeros((2, 8, 16, 16, 3)), "NT,C,H,W").shape
    (16, 3, 16, 16)
    """
    axes = axes_of(layout)
    letters = "".join(axes)
    sizes = dict(zip("NTHWC", clips.shape, strict=True))
    if "N" not in letters and sizes["N"] > 1:
        raise InputError(
            f"the layout {layout!r} has no axis for several clips, and {sizes['N']} were fed; export the model with "
            "such an axis, or use an ONNX file of it, which is fed clip by clip"
        )
    kept = clips.reshape([sizes[letter] for letter in "NTHWC" if letter in letters])
    order = transposition(layout)
    moved: Any = kept.transpose(order) if isinstance(kept, np.ndarray) else kept.permute(order)
    laid_out: Tensor = moved.reshape([prod(sizes[letter] for letter in axis) for axis in axes])
    return laid_out
