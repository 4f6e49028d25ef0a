"""Indices of int32, which torch allows and which its exporter passes on to operators that read int64 only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdmetrics.errors import require
from sdmetrics.probes.onnx_file import set_nodes

if TYPE_CHECKING:
    from onnx import ModelProto

READ_INT64 = ("GatherND", "ScatterND")
"""The operators whose second input must be int64."""


def widen_indices(model: ModelProto) -> None:
    """Convert indices of int32 to int64, in place.

    Examples
    --------
    >>> from onnx import TensorProto, helper
    >>> values, found = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("values", "found"))
    >>> index = helper.make_tensor_value_info("index", TensorProto.INT32, [1, 1])
    >>> nodes = [helper.make_node("GatherND", ["values", "index"], ["found"])]
    >>> model = helper.make_model(helper.make_graph(nodes, "g", [values, index], [found]))
    >>> widen_indices(model)
    >>> [node.op_type for node in model.graph.node]
    ['Cast', 'GatherND']
    """
    onnx = require("onnx", extra="cpu")
    graph = model.graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.input)}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type in READ_INT64 and types.get(node.input[1]) == onnx.TensorProto.INT32:
            wide = f"{node.output[0]}/indices"
            nodes.append(onnx.helper.make_node("Cast", [node.input[1]], [wide], to=onnx.TensorProto.INT64))
            node.input[1] = wide
        nodes.append(node)
    set_nodes(graph, nodes)
