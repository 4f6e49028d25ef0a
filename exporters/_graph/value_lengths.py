"""Bound what ONNX's shape inference keeps: it follows the values of shapes and indices, however many these are."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING

from sdmetrics.errors import require
from sdmetrics.probes.graph_limits import AXES
from sdmetrics.probes.graph_walk import with_inner
from sdmetrics.probes.onnx_file import attribute

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

MOST = 100_000
"""Values of a tensor that are followed; shapes have a handful, and ranges of indices some thousands."""

GROWING = {"Concat", "Range"}
FOLLOWED = {"Add", "Cast", "Gather", "Identity", "Mul", "Slice", "Squeeze", "Sub", "Unsqueeze"}
"""Operators whose values are followed and are at most as many as those of one input."""


def values_can_be_followed(model: ModelProto) -> bool:
    """Return whether no tensor whose values are followed can have more than `MOST` of them."""
    nodes = list(with_inner(model.graph.node))
    if not any(node.op_type in GROWING for node in nodes):
        return True
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in nodes:
        if node.op_type == "Constant" and (value := attribute(node, "value", None)) is not None:
            constants[node.output[0]] = value
    lengths = {name: _length(tensor) for name, tensor in constants.items()}
    for node in nodes:
        if node.op_type == "Constant":
            continue
        length = _most(node, lengths, constants)
        if length > MOST:
            return False
        lengths.update(dict.fromkeys(node.output, length))
    return True


def _length(tensor: TensorProto) -> int:
    """Return how many values of a constant are followed: those of whole numbers in at most one axis."""
    kinds = require("onnx", extra="cpu").TensorProto
    if tensor.data_type not in (kinds.INT32, kinds.INT64) or len(tensor.dims) > 1:
        return 0
    return int(tensor.dims[0]) if tensor.dims else 1


def _most(node: NodeProto, lengths: Mapping[str, int], constants: Mapping[str, TensorProto]) -> int:
    """Return how many values of a node's output are followed at most."""
    sizes = [lengths.get(name, 0) for name in node.input]
    if node.op_type == "Shape":
        return AXES
    if node.op_type == "Concat":
        return sum(sizes)
    if node.op_type == "Range":
        ends = [constants[name] for name in node.input if name in constants]
        return _count(*ends) if len(ends) == 3 else MOST + 1
    return max(sizes, default=0) if node.op_type in FOLLOWED else 0


def _count(*ends: TensorProto) -> int:
    """Return the number of values from a start to a limit in steps."""
    to_array = require("onnx", extra="cpu").numpy_helper.to_array
    start, limit, step = (float(to_array(end).reshape(-1)[:1].sum()) for end in ends)
    return max(ceil((limit - start) / step), 0) if step else MOST + 1
