"""What an axis is made of: a reshape splits axes and joins them, and what was split can come together again.

An axis is a tuple of parts, outermost first. Time folded into the batch is the parts N and T; channels split into
heads lie as two parts of C in two axes, and are C again where both meet in their old order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sdmetrics.exporters._graph.nodes import Shape

Size = tuple[int, tuple[str, ...]]
"""A product: a number and symbols, `4*batch` is `(4, ("batch",))`."""

ONE: Size = (1, ())


@dataclass(frozen=True)
class Part:
    """A factor of an axis: `size` of the `of` entries of what is labelled, `stride` entries apart."""

    label: str | None
    size: Size
    stride: Size = ONE
    of: Size = ONE

    @property
    def whole(self) -> bool:
        """Whether nothing of what is labelled lies elsewhere."""
        return self.size == self.of and self.stride == ONE


Axis = tuple[Part, ...]
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
    """Return an axis that holds all of what is labelled."""
    size = size_of(entry)
    return (Part(label, size, ONE, size),)


def label_of(axis: Axis) -> str | None:
    """Return the label of an axis that is one thing and all of it."""
    return axis[0].label if len(axis) == 1 and axis[0].whole else None


def holds(axes: Iterable[Axis], label: str) -> bool:
    """Return whether any of it, or all, lies in these axes."""
    return any(part.label == label for axis in axes for part in axis)


def without(axis: Axis, label: str) -> Axis:
    """Return an axis that claims nothing of the label."""
    return tuple(replace(part, label=None) if part.label == label else part for part in axis)


def fitted(axes: Axes, shape: Shape) -> Axes:
    """Return the axes of a tensor whose sizes became those of `shape`: cut, padded, pooled or strided over."""
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
    """Return the axes that are left when one entry of each of those `gone` is picked."""
    gone = sorted({index % len(axes) for index in gone}, reverse=True)
    left = list(axes)
    for index in gone:
        picked = left.pop(index)
        left = [_after_picking(picked, axis) for axis in left]
    return tuple(left)


def reshaped(axes: Axes, before: Shape, after: Shape) -> Axes:
    """Return the axes after a reshape; what neither splits nor joins evenly is not known any more."""
    old = [(axis, size_of(entry)) for axis, entry in zip(axes, before, strict=True) if entry != 1]
    new = [size_of(entry) for entry in after if entry != 1]
    made: list[Axis] = []
    lost = False
    for (i, j), (k, m) in _meeting_points([size for _, size in old], new):
        parts = [part for axis, size in old[i:k] for part in axis or (Part(None, size),)]
        group = _regrouped(parts, new[j:m])
        lost |= group is None and holds([tuple(parts)], "C")
        made += group or [(Part(None, size),) for size in new[j:m]]
    if lost:
        # The rest of the channels is somewhere among what is not known.
        made = [without(axis, "C") for axis in made]
    rest = iter(made)
    return tuple(() if entry == 1 else next(rest) for entry in after)


def met(axes: Sequence[Axis]) -> Axis:
    """Return what an axis is where several tensors meet in it: the unknown yields to the known."""
    known = {axis for axis in axes if any(part.label for part in axis)}
    if len(known) == 1:
        return known.pop()
    return (Part(None, _product(axes[0])),) if axes else ()


def _after_picking(picked: Axis, axis: Axis) -> Axis:
    """Return an axis where one entry of the parts `picked` is left: what is left is all there is."""
    for gone in picked:
        axis = tuple(
            part
            if part.label != gone.label or gone.label is None
            else replace(
                part,
                of=_over(part.of, gone.size) or part.of,
                stride=(_over(part.stride, gone.size) if _over(part.stride, gone.stride) else None) or part.stride,
            )
            for part in axis
        )
    return axis


def _meeting_points(old: Sequence[Size], new: Sequence[Size]) -> Iterable[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield from where to where the sizes, multiplied up from either end, come to the same."""
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


def _regrouped(parts: list[Part], sizes: Sequence[Size]) -> list[Axis] | None:
    """Deal the parts out to axes of these sizes, split where needed."""
    waiting, made = list(reversed(parts)), []
    for wanted in sizes:
        axis: list[Part] = []
        while wanted != ONE:
            if not waiting:
                return None
            part = waiting.pop()
            if (rest := _over(wanted, part.size)) is not None:
                wanted = rest
            elif (inner := _over(part.size, wanted)) is not None:
                waiting.append(replace(part, size=inner))
                part = replace(part, size=wanted, stride=times([part.stride, inner]))
                wanted = ONE
            else:
                return None
            _append(axis, part)
        made.append(tuple(axis))
    return made if not waiting else None


def _append(axis: list[Part], part: Part) -> None:
    """Add a part; it joins the one before where they were split apart."""
    last = axis[-1] if axis else None
    joins = last is not None and last.label == part.label
    if last and joins and (part.label is None or (last.of, last.stride) == (part.of, times([part.stride, part.size]))):
        axis[-1] = replace(part, size=times([last.size, part.size]))
    else:
        axis.append(part)


def _product(axis: Axis) -> Size:
    """Return the size of an axis."""
    return times([part.size for part in axis])


def _over(size: Size, by: Size) -> Size | None:
    """Divide one size by another, if that comes out even."""
    symbols = Counter(size[1])
    symbols.subtract(by[1])
    if "?" in symbols or by[0] == 0 or size[0] % by[0] or min(symbols.values(), default=0) < 0:
        return None
    return size[0] // by[0], tuple(sorted(symbols.elements()))
