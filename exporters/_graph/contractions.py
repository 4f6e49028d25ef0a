"""Follow axes through sums of products: MatMul, Gemm, Einsum and attention."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdmetrics.exporters._graph.axis_factors import Axes, Axis, Factor, holds, met, size_of, times, whole_axis, without
from sdmetrics.exporters._graph.nodes import Shape
from sdmetrics.probes.onnx_file import attribute

if TYPE_CHECKING:
    from onnx import NodeProto


def equation_of(node: NodeProto, ranks: Sequence[int]) -> tuple[list[str], str] | None:
    """Return one letter per axis of every operand and of the result, as Einsum names them.

    Examples
    --------
    >>> from onnx import helper
    >>> equation_of(helper.make_node("MatMul", ["tokens", "weight"], ["mixed"]), [3, 2])
    (['ayx', 'xz'], 'ayz')
    """
    kind = node.op_type
    if kind == "Einsum":
        text = attribute(node, "equation", b"").decode().replace(" ", "")
        reads, arrow, result = text.partition("->")
        return None if "." in text or not arrow else (reads.split(","), result)
    if len(ranks) == 1 or kind == "MatMulNBits":
        # The weight is packed, so only the input and the output have known axes.
        batch = string.ascii_lowercase[: ranks[0] - 1]
        return [batch + "x", "xz"], batch + "z"
    left, right = ranks
    if left < 2 or right < 2 or max(ranks) > 8:
        return None
    batch = string.ascii_lowercase[: max(ranks) - 2]
    first, second = batch[len(batch) - left + 2 :], batch[len(batch) - right + 2 :]
    if kind == "Attention":
        return [first + "yx", second + "wz"], batch + "yz"
    flip_left, flip_right = attribute(node, "transA", 0), attribute(node, "transB", 0)
    return [first + ("xy" if flip_left else "yx"), second + ("zx" if flip_right else "xz")], batch + "yz"


def contracted(reads: Sequence[str], result: str, operands: Sequence[Axes | None], shape: Shape) -> Axes | None:
    """Return the axes of the result. An operand is None if it is a constant, i.e. a layer's weight."""
    named = [(letters, axes) for letters, axes in zip(reads, operands, strict=False) if axes is not None]
    if not named or any(len(letters) != len(axes) for letters, axes in named):
        return None
    places = [(letter, axis) for letters, axes in named for letter, axis in zip(letters, axes, strict=True) if axis]
    made = [letter for letter in result if not any(letter in letters for letters, _ in named)]
    found: list[Axis] = [met([axis for name, axis in places if name == letter]) for letter in result]
    summed = [axis for letter, axis in places if letter not in result]
    if not made:
        return tuple(found)
    sizes = [size_of(shape[result.index(letter)]) for letter in made]
    if holds(found, "C"):
        # Tokens are mixed and the channels stay, or a part of the channels is summed and then no axis holds them.
        if holds(summed, "C"):
            found = [without(axis, "C") for axis in found]
        fresh: list[Axis] = [(Factor(None, size),) for size in sizes]
    elif len(made) == 1:
        fresh = [whole_axis("C", shape[result.index(made[0])])]
    else:
        weight = next((letters for letters, axes in zip(reads, operands, strict=False) if axes is None), "")
        order = sorted(made, key=weight.index)
        total = times(sizes)
        fresh = []
        for letter in made:
            inner = [size_of(shape[result.index(other)]) for other in order[order.index(letter) + 1 :]]
            whole = Factor("C", size_of(shape[result.index(letter)]), times(inner), total)
            fresh.append((whole,))
    for letter, axis in zip(made, fresh, strict=True):
        found[result.index(letter)] = axis
    return tuple(found)
