"""Add up one axis after the other, as ONNX Runtime loses digits in a sum over several axes.

Where an inner axis stays, the runtime adds all values of a unit to one float32 number, one after the other: the mean of
3 million values is exact to 2e-3. Sums over one axis after the other are as short as the axes, and exact to 1e-7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from sdmetrics.errors import require
from sdmetrics.exporters._assembly.opset import opset_of
from sdmetrics.exporters._graph.nodes import Shape, constants, element_types, shapes
from sdmetrics.probes.onnx_file import all_reads, attribute, set_nodes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto

AXES_ARE_AN_INPUT = {"ReduceMean": 18, "ReduceSum": 13}
"""The operators that can be taken one axis after the other, and the opset since which the axes are their input."""


def split_sums(model: ModelProto) -> None:
    """Replace each mean or sum over several axes by one for each axis, the last axis first, in place.

    Those within sub-graphs, those of tensors whose rank is unknown, and means of whole numbers, which are cut, stay.

    Examples
    --------
    >>> from onnx import TensorProto, helper
    >>> values = helper.make_tensor_value_info("values", TensorProto.FLOAT, [2, 3, 4])
    >>> found = helper.make_tensor_value_info("found", TensorProto.FLOAT, [2])
    >>> node = helper.make_node("ReduceMean", ["values"], ["found"], axes=[1, 2], keepdims=0)
    >>> opset = helper.make_opsetid("", 17)
    >>> model = helper.make_model(helper.make_graph([node], "g", [values], [found]), opset_imports=[opset])
    >>> split_sums(model)
    >>> [(node.input[0], node.output[0]) for node in model.graph.node]
    [('values', 'found/axis2'), ('found/axis2', 'found')]
    """
    graph, opset = model.graph, opset_of(model)
    if not any(node.op_type in AXES_ARE_AN_INPUT for node in graph.node):
        return
    known, fixed = shapes(model), constants(model)
    types = {tensor.name: tensor.data_type for tensor in graph.initializer} | element_types(model)
    nodes: list[NodeProto] = []
    replaced: set[str] = set()
    for node in graph.node:
        axes = _axes(node, known, fixed)
        if len(axes) < 2 or (node.op_type == "ReduceMean" and _is_whole(types.get(node.input[0]))):
            nodes.append(node)
        else:
            nodes += _one_by_one(graph, node, axes, opset)
            replaced.update(node.input[1:])
    set_nodes(graph, nodes)
    _drop_unread(graph, replaced)


def _axes(node: NodeProto, known: Mapping[str, Shape], fixed: Mapping[str, NDArray[np.int64] | None]) -> list[int]:
    """Return the axes that a node adds up, the last first; none if it adds up none, or they are not known."""
    if node.op_type not in AXES_ARE_AN_INPUT:
        return []
    axes = attribute(node, "axes", None)
    if axes is None and len(node.input) > 1:
        axes = fixed.get(node.input[1])
    rank = len(known.get(node.input[0], ()))
    return sorted((int(axis) % rank for axis in axes), reverse=True) if rank and axes is not None else []


def _is_whole(kind: int | None) -> bool:
    """Return whether an element type, as ONNX's number, is one of whole numbers."""
    helper = require("onnx", extra="cpu").helper
    return bool(kind) and helper.tensor_dtype_to_np_dtype(kind).kind in "iu"


def _one_by_one(graph: GraphProto, node: NodeProto, axes: list[int], opset: int) -> Iterator[NodeProto]:
    """Yield a node for each axis; the last has the name and the output of the one that they replace."""
    onnx = require("onnx", extra="cpu")
    values, output = node.input[0], node.output[0]
    for axis in axes:
        last = axis == axes[-1]
        made = onnx.helper.make_node(
            node.op_type,
            [values],
            [output if last else f"{output}/axis{axis}"],
            name=node.name if last else "",
            keepdims=attribute(node, "keepdims", 1),
        )
        if opset < AXES_ARE_AN_INPUT[node.op_type]:
            made.attribute.append(onnx.helper.make_attribute("axes", [axis]))
        else:
            made.input.append(f"{output}/axes{axis}")
            graph.initializer.append(onnx.numpy_helper.from_array(np.array([axis]), made.input[1]))
        values = made.output[0]
        yield made


def _drop_unread(graph: GraphProto, names: set[str]) -> None:
    """Remove those of the constants that nothing reads any more, of which the runtime warns."""
    unread = names.difference(*map(all_reads, graph.node), (output.name for output in graph.output))
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name in unread:
            del graph.initializer[index]
