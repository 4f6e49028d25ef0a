"""Look up the tensors of a graph: inputs, shapes, types, constants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, one_line, require
from sdmetrics.exporters._graph.value_lengths import values_can_be_followed
from sdmetrics.probes.graph_walk import subgraphs
from sdmetrics.probes.onnx_file import all_reads, attribute

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, ValueInfoProto


Shape = tuple[int | str, ...]


def fed_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Return the inputs that have to be fed. Old files list their weights as inputs, too."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def shapes(model: ModelProto) -> dict[str, Shape]:
    """Return the shape of every tensor whose rank is known; an unknown dimension is `"?"`."""
    known: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for value in _values(model):
        if value.type.tensor_type.HasField("shape"):
            known[value.name] = tuple(
                dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
                for dim in value.type.tensor_type.shape.dim
            )
    return known


def element_types(model: ModelProto) -> dict[str, int]:
    """Return the element type, as ONNX's number, of every tensor that is not a weight, as far as known."""
    types = ((value.name, value.type.tensor_type.elem_type) for value in _values(model))
    return {name: kind for name, kind in types if kind}


def computed_tensors(model: ModelProto) -> list[str]:
    """Return the names of all tensors that nodes compute, without sequences and other values that are not tensors."""
    others = {value.name for value in _values(model) if value.type.WhichOneof("value") not in (None, "tensor_type")}
    return [name for node in model.graph.node for name in node.output if name and name not in others]


def tensors_needed(graph: GraphProto) -> set[str]:
    """Return the tensors on which an output of the graph depends. The nodes are in order."""
    needed = {output.name for output in graph.output}
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            needed.update(all_reads(node))
    return needed


def constants(model: ModelProto) -> dict[str, NDArray[np.int64] | None]:
    """Return the tensors that do not depend on an input, with the values of the short ones."""
    numpy_helper = require("onnx", extra="cpu").numpy_helper
    small = 64
    found: dict[str, NDArray[np.int64] | None] = {}
    for tensor in model.graph.initializer:
        short = len(tensor.dims) == 1 and tensor.dims[0] <= small
        found[tensor.name] = numpy_helper.to_array(tensor) if short else None
    for node in model.graph.node:
        if node.op_type == "Constant":
            value = attribute(node, "value", None)
            # A file may state any kind of attribute under this name.
            dims = list(getattr(value, "dims", []))
            short = len(dims) == 1 and dims[0] <= small
            found[node.output[0]] = numpy_helper.to_array(value) if short else None
        elif node.input and all(not name or name in found for name in node.input):
            found.update(dict.fromkeys(node.output))
    return found


def rename_uses(graph: GraphProto, old: str, new: str) -> None:
    """Make all consumers of the tensor `old`, including those in sub-graphs, read `new`. Producers are unchanged."""
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new
        for inner in subgraphs(node):
            rename_uses(inner, old, new)
            for output in inner.output:
                if output.name == old:
                    output.name = new


def _values(model: ModelProto) -> list[ValueInfoProto]:
    """Return the tensor descriptions of the file, after those that ONNX infers for tensors without one."""
    declared = [*model.graph.input, *model.graph.output, *model.graph.value_info]
    names = {value.name for value in declared if value.type.tensor_type.HasField("shape")}
    if all(output in names for node in model.graph.node for output in node.output if output):
        return declared
    onnx = require("onnx", extra="cpu")
    try:
        follow = values_can_be_followed(model)
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=follow).graph
    except Exception as error:
        raise InputError(f"the model is not valid ONNX: {one_line(error)}") from None
    return [*inferred.output, *inferred.value_info, *declared]
