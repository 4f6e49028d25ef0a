"""Add the nodes that turn a model into a probe: inputs at the front, masks behind layers, pooling at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from sdmetrics.errors import require
from sdmetrics.exporters._assembly.opset import opset_of
from sdmetrics.exporters._assembly.sums import AXES_ARE_AN_INPUT
from sdmetrics.exporters._graph.nodes import Shape, element_types, fed_inputs, rename_uses, shapes
from sdmetrics.probes.feeds import order_name
from sdmetrics.probes.inputs import ModelInput, usual_scale
from sdmetrics.probes.layouts import clips_first, transposition
from sdmetrics.probes.metadata import Layer, Metadata, write_metadata
from sdmetrics.probes.onnx_file import set_nodes
from sdmetrics.probes.session import fixed_batch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

MASK_NODE = "sdmetrics/mask/"

IR_VERSION = 8
BATCH = "clips"
"""The name of the batch dimension, where it is dynamic."""


def mask_node(layer: str, run: int = 0) -> str:
    """Return the name of the Identity that an exported model has between a run of a layer and its consumers.

    Examples
    --------
    >>> mask_node("res2"), mask_node("res2", run=1)
    ('sdmetrics/mask/res2', 'sdmetrics/mask@1/res2')
    """
    return MASK_NODE + layer if run == 0 else f"sdmetrics/mask@{run}/{layer}"


def assemble(model: ModelProto, metadata: Metadata) -> ModelProto:
    """Return the probe of `model` that `metadata` describes."""
    onnx = require("onnx", extra="cpu")
    probe: ModelProto = onnx.ModelProto()
    probe.CopyFrom(model)
    opset = opset_of(probe)
    # Before this version weights are inputs as well, which prevents the runtime from folding them.
    probe.ir_version = max(probe.ir_version, IR_VERSION)
    graph, types = probe.graph, element_types(model)
    fed = {value.name: value.type.tensor_type.elem_type for value in fed_inputs(graph)}
    known = shapes(model)
    own = {output.name: output for output in model.graph.output}
    _free_names(graph, {item.source for item in metadata.inputs} - fed.keys())
    clips = fixed_batch(probe) or BATCH
    del graph.input[:], graph.output[:]
    graph.output.extend(own[name] for name in metadata.outputs)
    for output in graph.output:
        _set_shape(output, known)
    before, behind, after = _Nodes(graph, onnx), _Nodes(graph, onnx), _Nodes(graph, onnx)
    for item in metadata.inputs:
        _feed(before, item, fed[item.name], clips)
    for layer in metadata.layers:
        kind = types.get(layer.tensor, onnx.TensorProto.FLOAT)
        tensor = _mask(before, behind, layer, kind) if metadata.masks else layer.tensor
        _pool(after, layer, tensor, metadata.inputs[0], opset, clips)
    masks = {node.input[0]: node for node in behind.made}
    body = [each for node in graph.node for each in (node, *(masks[o] for o in node.output if o in masks))]
    set_nodes(graph, [*before.made, *body, *after.made])
    write_metadata(probe, metadata)
    return probe


class _Nodes:
    """A list of new nodes and the constants that they read."""

    def __init__(self, graph: GraphProto, onnx: ModuleType) -> None:
        self.graph = graph
        self.onnx = onnx
        self.made: list[NodeProto] = []

    def put(self, kind: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        """Add a node named like its output, and return that name."""
        self.made.append(self.onnx.helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant, int64 or float32, and return its name."""
        value = value.astype(np.float32 if value.dtype.kind == "f" else np.int64)
        self.graph.initializer.append(self.onnx.numpy_helper.from_array(value, name))
        return name

    def input(self, name: str, kind: str, shape: Sequence[int | str]) -> None:
        """Add an input of the probe unless it exists; several model inputs can read one source."""
        if name not in [value.name for value in self.graph.input]:
            dtype = getattr(self.onnx.TensorProto, kind)
            self.graph.input.append(self.onnx.helper.make_tensor_value_info(name, dtype, shape))


def _feed(nodes: _Nodes, item: ModelInput, dtype: int, batch: int | str) -> None:
    """Add the nodes that feed one model input: frames are gathered in order, scaled, shifted and transposed."""
    # The tensor gets another name, as a model input may be called `rgb`.
    tensor, order, (height, width) = f"sdmetrics/input/{item.name}", order_name(item), item.size
    rename_uses(nodes.graph, item.name, tensor)
    vectors, channels = item.source == "flow_vectors", item.channels
    nodes.input(item.source, "FLOAT" if vectors else "UINT8", [batch, "frames", height, width, channels])
    nodes.input(order, "INT64", [batch, item.frames])

    def put(kind: str, inputs: Sequence[str], name: str, **attributes: object) -> str:
        return nodes.put(kind, inputs, f"{tensor}/{name}", **attributes)

    def constant(name: str, value: object) -> str:
        return nodes.constant(f"{tensor}/{name}", np.asarray(value))

    zero, one = constant("zero", 0), constant("one", 1)
    shape = put("Shape", [item.source], "shape")
    clips, frames = put("Gather", [shape, zero], "clips"), put("Gather", [shape, one], "frames")
    # One gather over the frames of all clips, as GatherND does not support uint8 on CUDA.
    first = put("Mul", [put("Range", [zero, clips, one], "range"), frames], "first")
    first = put("Reshape", [first, constant("column", [-1, 1])], "offset")
    flat = put("Reshape", [item.source, constant("flat_shape", [-1, height, width, channels])], "flat")
    chosen = put("Gather", [flat, put("Add", [order, first], "index")], "gathered", axis=0)
    values = put("Cast", [chosen], "cast", to=nodes.onnx.TensorProto.FLOAT) if not vectors else chosen
    if item.colours == "bgr":
        values = put("Gather", [values, constant("bgr", [2, 1, 0])], "reversed", axis=-1)
    if item.limit is not None:
        values = put(
            "Clip", [values, constant("lowest", -float(item.limit)), constant("highest", float(item.limit))], "clipped"
        )
    if not vectors or item.limit is not None or (item.mean, item.std) != usual_scale(item.source):
        std, mean, one_is = np.array(item.std), np.array(item.mean), (item.limit or 1) if vectors else 255
        values = put("Mul", [values, constant("scale", 1 / (one_is * std))], "scaled")
        values = put("Add", [values, constant("shift", -mean / std)], "shifted")
    layout = clips_first(item.layout)
    if "T" not in layout:
        values = put("Reshape", [values, constant("frame_shape", [-1, height, width, channels])], "frame")
    values = put("Transpose", [values], "transposed", perm=transposition(layout))
    nodes.put("Cast", [values], tensor, to=dtype)


def _mask(before: _Nodes, behind: _Nodes, layer: Layer, dtype: int) -> str:
    """Multiply the layer's mask into the tensor that its consumers read; return the tensor before the mask."""
    assert layer.channel_axis is not None
    assert layer.units is not None
    name, trailing = f"mask/{layer.name}", len(layer.shape) - layer.channel_axis - 1
    before.input(name, "FLOAT", [layer.units])
    before.constant(name, np.ones(layer.units))
    shape = before.constant(f"sdmetrics/{name}/shape", np.array([layer.units] + [1] * trailing))
    factor = before.put("Reshape", [name, shape], f"sdmetrics/{name}/reshaped")
    factor = before.put("Cast", [factor], f"sdmetrics/{name}/factor", to=dtype)
    identities = {node.name: node for node in before.graph.node if node.op_type == "Identity"}
    if mask_node(layer.name) in identities:
        for run in count():
            gate = identities.get(mask_node(layer.name, run))
            if gate is None:
                return layer.tensor
            gate.op_type = "Mul"
            gate.input.append(factor)
    # The product takes over the tensor's name, so no consumer, sub-graph or output has to be changed to read it.
    raw = f"sdmetrics/raw/{layer.tensor}"
    for node in before.graph.node:
        if layer.tensor in node.output:
            node.output[list(node.output).index(layer.tensor)] = raw
    behind.put("Mul", [raw, factor], layer.tensor)
    return raw


def _pool(nodes: _Nodes, layer: Layer, tensor: str, item: ModelInput, opset: int, batch: int | str) -> None:
    """Add the output `units/<layer>`: the mean over all axes but clips and channels."""
    assert layer.channel_axis is not None
    assert layer.units is not None
    output, prefix = f"units/{layer.name}", f"sdmetrics/units/{layer.name}"
    float32 = nodes.onnx.TensorProto.FLOAT

    def mean(values: str, axis: int, name: str) -> str:
        if opset < AXES_ARE_AN_INPUT["ReduceMean"]:
            return nodes.put("ReduceMean", [values], name, axes=[axis], keepdims=0)
        return nodes.put("ReduceMean", [values, nodes.constant(f"{name}/axes", np.array([axis]))], name, keepdims=0)

    values = nodes.put("Cast", [tensor], f"{prefix}/cast", to=float32)
    # One axis after the other, see `sums`; the last first, so that the other axes keep their numbers.
    for axis in reversed(range(len(layer.shape))):
        if axis not in (layer.batch_axis, layer.channel_axis):
            values = mean(values, axis, f"{prefix}/mean{axis}")
    if layer.channel_axis < layer.batch_axis:
        values = nodes.put("Transpose", [values], f"{prefix}/transposed", perm=[1, 0])
    if layer.fold is not None:
        shape = nodes.put("Shape", [order_name(item)], f"{prefix}/shape")
        clips = nodes.put("Gather", [shape, nodes.constant(f"{prefix}/first", np.array([0]))], f"{prefix}/clips")
        rest, units = (nodes.constant(f"{prefix}/{n}", np.array([v])) for n, v in (("rest", -1), ("size", layer.units)))
        batch_major = layer.fold == "batch-major"
        order = [clips, rest, units] if batch_major else [rest, clips, units]
        unfolded = nodes.put(
            "Reshape", [values, nodes.put("Concat", order, f"{prefix}/order", axis=0)], f"{prefix}/unfolded"
        )
        values = mean(unfolded, 1 if batch_major else 0, f"{prefix}/unfolded_mean")
    nodes.put("Cast", [values], output, to=float32)
    nodes.graph.output.append(nodes.onnx.helper.make_tensor_value_info(output, float32, [batch, layer.units]))


def _free_names(graph: GraphProto, names: set[str]) -> None:
    """Rename inner tensors that have the name of one of the probe's sources."""
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name in names:
                rename_uses(graph, name, f"sdmetrics/inner/{name}")
                node.output[index] = f"sdmetrics/inner/{name}"


def _set_shape(output: ValueInfoProto, known: Mapping[str, Shape]) -> None:
    """Set the shape of an output if the file leaves it out, as ONNX's check requires it."""
    if not output.type.tensor_type.HasField("shape"):
        for size in known.get(output.name, ()):
            dim = output.type.tensor_type.shape.dim.add()
            if isinstance(size, int):
                dim.dim_value = size
