"""The factors of axes: a reshape splits and joins axes, and split axes can be joined again.

An axis is a tuple of factors, outermost first. Time folded into the batch is the factors N and T. Channels split into
heads are two factors of C in two axes, and become C again where both are joined in their original order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sdmetrics.exporters._graph.nodes import Shape

Size = tuple[int, tuple[str, ...]]
"""A product of a number and symbols: `4*batch` is `(4, ("batch",))`."""

ONE: Size = (1, ())


@dataclass(frozen=True)
class Factor:
    """A factor of an axis: `size` of the `of` entries of the labelled dimension, `stride` entries apart."""

    label: str | None
    size: Size
    stride: Size = ONE
    of: Size = ONE

    @property
    def whole(self) -> bool:
        """Whether this is the complete labelled dimension."""
        return self.size == self.of and self.stride == ONE


Axis = tuple[Factor, ...]
Axes = tuple[Axis, ...]


def size_of(entry: int | str) -> Size:
    """Return an entry of a shape as a product.

    Examples
    --------
    >>> size_of(12), size_of("batch"), size_of("4*batch")
    ((12, ()), (1, ('batch',)), (4, ('batch',)))
    """
    if isinstance(entry, int):
        return entry, ()
    match = re.fullmatch(r"(\d+)\*(\w+)", entry.replace(" ", ""))
    return (int(match[1]), (match[2],)) if match else (1, (entry,))


def times(sizes: Iterable[Size]) -> Size:
    """Return the product of sizes."""
    number = 1
    symbols: list[str] = []
    for factor, names in sizes:
        number *= factor
        symbols += names
    return number, tuple(sorted(symbols))


def whole_axis(label: str | None, entry: int | str) -> Axis:
    """Return an axis that holds a complete labelled dimension."""
    size = size_of(entry)
    return (Factor(label, size, ONE, size),)


def label_of(axis: Axis) -> str | None:
    """Return the label of an axis that is exactly one complete dimension, or None."""
    return axis[0].label if len(axis) == 1 and axis[0].whole else None


def holds(axes: Iterable[Axis], label: str) -> bool:
    """Return whether the axes hold any factor of the labelled dimension."""
    return any(factor.label == label for axis in axes for factor in axis)


def without(axis: Axis, label: str) -> Axis:
    """Return the axis with the label removed."""
    return tuple(replace(factor, label=None) if factor.label == label else factor for factor in axis)


def fitted(axes: Axes, shape: Shape) -> Axes:
    """Return the axes of a tensor whose sizes changed to `shape`, e.g. by slicing, padding, pooling or striding."""
    found = list(axes)
    for index, entry in enumerate(shape):
        if entry == "?" or _product(axes[index]) == size_of(entry):
            continue
        if entry == 1:
            found = [_after_picking(axes[index], axis) for axis in found]
        label = label_of(axes[index])
        found[index] = () if label == "C" and entry == 1 else whole_axis(label, entry)
    return tuple(found)


def dropped(axes: Axes, gone: Iterable[int]) -> Axes:
    """Return the remaining axes when one entry is picked from each axis in `gone`."""
    gone = sorted({index % len(axes) for index in gone}, reverse=True)
    left = list(axes)
    for index in gone:
        picked = left.pop(index)
        left = [_after_picking(picked, axis) for axis in left]
    return tuple(left)


def reshaped(axes: Axes, before: Shape, after: Shape) -> Axes:
    """Return the axes after a reshape. Axes that are neither split nor joined evenly become unknown."""
    old = [(axis, size_of(entry)) for axis, entry in zip(axes, before, strict=True) if entry != 1]
    new = [size_of(entry) for entry in after if entry != 1]
    made: list[Axis] = []
    lost = False
    for (i, j), (k, m) in _meeting_points([size for _, size in old], new):
        factors = [factor for axis, size in old[i:k] for factor in axis or (Factor(None, size),)]
        group = _regrouped(factors, new[j:m])
        lost |= group is None and holds([tuple(factors)], "C")
        made += group or [(Factor(None, size),) for size in new[j:m]]
    if lost:
        # The rest of the channels is somewhere in the unknown axes.
        made = [without(axis, "C") for axis in made]
    rest = iter(made)
    return tuple(() if entry == 1 else next(rest) for entry in after)


def met(axes: Sequence[Axis]) -> Axis:
    """Return the axis in which several tensors meet: a known axis takes precedence over unknown ones."""
    known = {axis for axis in axes if any(factor.label for factor in axis)}
    if len(known) == 1:
        return known.pop()
    return (Factor(None, _product(axes[0])),) if axes else ()


def _after_picking(picked: Axis, axis: Axis) -> Axis:
    """Return an axis where one entry of the factors `picked` is left: what is left is all there is."""
    for gone in picked:
        axis = tuple(
            factor
            if factor.label != gone.label or gone.label is None
            else replace(
                factor,
                of=_over(factor.of, gone.size) or factor.of,
                stride=(_over(factor.stride, gone.size) if _over(factor.stride, gone.stride) else None)
                or factor.stride,
            )
            for factor in axis
        )
    return axis


def _meeting_points(old: Sequence[Size], new: Sequence[Size]) -> Iterable[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield the starts and ends of the smallest groups of old and new sizes with equal products."""
    heads = {times(old[:i]): i for i in range(len(old) + 1)}
    tails = {times(old[i:]): i for i in range(len(old) + 1)}
    start = (0, 0)
    for j in range(1, len(new) + 1):
        head, tail = times(new[:j]), times(new[j:])
        i = heads.get(head) if "?" not in head[1] else None
        if i is None and "?" not in tail[1]:
            i = tails.get(tail)
        if i is None and j == len(new):
            i = len(old)
        if i is not None and i > start[0]:
            yield start, (i, j)
            start = (i, j)


def _regrouped(factors: list[Factor], sizes: Sequence[Size]) -> list[Axis] | None:
    """Distribute the factors over axes of these sizes, splitting them if needed."""
    waiting, made = list(reversed(factors)), []
    for size in sizes:
        axis: list[Factor] = []
        while size != ONE:
            if not waiting:
                return None
            factor = waiting.pop()
            if (rest := _over(size, factor.size)) is not None:
                size = rest
            elif (inner := _over(factor.size, size)) is not None:
                waiting.append(replace(factor, size=inner))
                factor = replace(factor, size=size, stride=times([factor.stride, inner]))
                size = ONE
            else:
                return None
            _append(axis, factor)
        made.append(tuple(axis))
    return made if not waiting else None


def _append(axis: list[Factor], factor: Factor) -> None:
    """Add a factor. It is joined with the last factor if both were split from one."""
    last = axis[-1] if axis else None
    joins = last is not None and last.label == factor.label
    if (
        last
        and joins
        and (factor.label is None or (last.of, last.stride) == (factor.of, times([factor.stride, factor.size])))
    ):
        axis[-1] = replace(factor, size=times([last.size, factor.size]))
    else:
        axis.append(factor)


def _product(axis: Axis) -> Size:
    """Return the size of an axis."""
    return times([factor.size for factor in axis])


def _over(size: Size, by: Size) -> Size | None:
    """Divide one size by another; return None if there is a remainder."""
    symbols = Counter(size[1])
    symbols.subtract(by[1])
    if "?" in symbols or by[0] == 0 or size[0] % by[0] or min(symbols.values(), default=0) < 0:
        return None
    return size[0] // by[0], tuple(sorted(symbols.elements()))
