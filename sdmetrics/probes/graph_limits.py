"""Bounds on a graph from outside, checked before it is written out, inferred or run."""

from __future__ import annotations

from collections import Counter
from graphlib import CycleError, TopologicalSorter
from math import prod
from typing import TYPE_CHECKING

from sdmetrics._text import printable
from sdmetrics.errors import InputError, require
from sdmetrics.probes.graph_walk import stored_tensors, with_inner

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

NODES = 50_000
"""Nodes with those of sub-graphs, functions written out. The largest models of the catalogue have some thousands."""

AXES = 64
"""Axes of a tensor that is described."""

INPUTS = 1000
"""Inputs of the graph that have to be fed."""

PARTS = 1_000_000
"""Inputs, outputs and attributes of all nodes, and inputs, outputs and weights of the graph."""

FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
"""Where a file can have a weight's values, beside `raw_data`."""

Key = tuple[str, str, str]
"""What a node calls a function by: domain, name, overload."""


def check_graph(model: ModelProto, owner: str) -> None:
    """Check that a graph is of a size that a model can have, and that its weights are what they claim.

    Raises
    ------
    InputError
        If it has too many nodes or other parts, a function calls itself, a tensor has an unknown type, or a weight has
        a negative size or another number of bytes.
    """
    graph = model.graph
    # The lists are counted before they are walked through.
    if (listed := len(graph.node) + sum(len(function.node) for function in model.functions)) > NODES:
        raise _too_many(listed, "nodes", NODES, owner)
    nodes = [*with_inner(graph.node), *with_inner(node for function in model.functions for node in function.node)]
    parts = len(graph.input) + len(graph.output) + len(graph.initializer) + len(graph.value_info)
    parts += sum(len(node.input) + len(node.output) + len(node.attribute) for node in nodes)
    if parts > PARTS:
        raise _too_many(parts, "names, attributes and weights", PARTS, owner)
    weights = {tensor.name for tensor in graph.initializer}
    if (fed := sum(value.name not in weights for value in graph.input)) > INPUTS:
        raise _too_many(fed, "inputs", INPUTS, owner)
    if (written := _written_out(model, owner)) > NODES:
        raise _too_many(written, "nodes with its functions written out", NODES, owner)
    for value in graph.input:
        kind = value.type.WhichOneof("value") or "tensor_type"
        if kind != "tensor_type":
            raise InputError(
                f"{owner} has the input {printable(repr(value.name))} of the kind {kind.removesuffix('_type')}; only "
                "tensors can be fed. Export it with an input for each tensor"
            )
    kinds = require("onnx", extra="cpu").TensorProto.DataType.values()
    for value in [*graph.input, *graph.output, *graph.value_info]:
        described = value.type.tensor_type
        if described.elem_type not in kinds or len(described.shape.dim) > AXES:
            raise InputError(
                f"{owner} is not valid ONNX: its tensor {printable(repr(value.name))} has the type "
                f"{described.elem_type} and {len(described.shape.dim)} axes; expected a type of ONNX and at most "
                f"{AXES} axes. Export it again"
            )
    for tensor in stored_tensors(model):
        _check_weight(tensor, owner)


def _too_many(count: int, what: str, limit: int, owner: str) -> InputError:
    """Return the error of a graph that is too large to be worked on."""
    return InputError(
        f"{owner} has {count:,} {what}; at most {limit:,} are read. Simplify it, e.g. by removing what leads to "
        "no output"
    )


def open_unknown_sizes(model: ModelProto) -> None:
    """Take sizes below 1 in the descriptions of tensors for sizes that are not fixed, as some exporters mean them."""
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField("dim_value") and dimension.dim_value < 1:
                dimension.Clear()


def _written_out(model: ModelProto, owner: str) -> int:
    """Return the number of nodes after every call of a function is replaced by the function's nodes."""
    functions = {(each.domain, each.name, each.overload): each for each in model.functions}
    calls = {key: Counter(map(_key, with_inner(function.node))) for key, function in functions.items()}
    needs = {key: [called for called in counted if called in functions] for key, counted in calls.items()}
    sizes: dict[Key, int] = {}

    def size(counted: Counter[Key]) -> int:
        return sum(count * sizes.get(key, 1) for key, count in counted.items())

    try:
        for key in TopologicalSorter(needs).static_order():
            sizes[key] = size(calls[key])
    except CycleError as error:
        raise InputError(
            f"{owner} is not valid ONNX: its function {printable(error.args[1][0][1])} calls itself; export it again"
        ) from None
    return size(Counter(map(_key, with_inner(model.graph.node))))


def _key(node: NodeProto) -> Key:
    """Return what a node calls a function by, if it calls one."""
    return node.domain, node.op_type, node.overload


def _check_weight(tensor: TensorProto, owner: str) -> None:
    """Raise an `InputError` unless a weight's type, sizes and bytes fit together."""
    onnx = require("onnx", extra="cpu")
    kinds = onnx.TensorProto.DataType
    problem = ""
    if tensor.data_type not in kinds.values() or tensor.data_type == kinds.UNDEFINED:
        problem = f"the type {tensor.data_type}, which ONNX does not have"
    elif min(tensor.dims, default=1) < 0:
        problem = f"the shape {tuple(tensor.dims)}"
    elif tensor.data_location != onnx.TensorProto.EXTERNAL and tensor.data_type != kinds.STRING:
        entries = len(tensor.raw_data) + sum(len(getattr(tensor, field)) for field in FIELDS)
        # Some types have four values in a byte; the runtime compares exactly.
        if prod(tensor.dims) > 4 * entries:
            problem = f"the shape {tuple(tensor.dims)} and only {entries:,} bytes or numbers"
    if problem:
        raise InputError(
            f"{owner} is not valid ONNX: its weight {printable(repr(tensor.name))} has {problem}; export it again"
        )
