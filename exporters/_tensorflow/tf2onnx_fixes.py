"""Fix the ONNX model that tf2onnx returns: names, layers, and what it gets wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sdmetrics.errors import InputError, require
from sdmetrics.exporters._assembly.assemble import MASK_NODE
from sdmetrics.exporters._assembly.finish import LAYER
from sdmetrics.exporters._graph.nodes import rename_uses, shapes
from sdmetrics.probes.onnx_file import attribute

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

DOMAIN = "sdmetrics"
"""The domain of marks, which tf2onnx and its optimisers do not know."""

BEHIND = "sdmetrics/behind/"
NUMBER = re.compile(r"__\d+")


def mark_text(layer: str) -> str:
    """Return the text that identifies a layer's mark."""
    return MASK_NODE + layer


def finish(
    model: ModelProto, inputs: Mapping[str, str], held: Mapping[str, NDArray[Any]], layers: Sequence[str]
) -> None:
    """Turn the output of tf2onnx into a model that declares its layers, in place.

    Parameters
    ----------
    model
        The model, which has one output `layer/<name>` per layer: the output of the layer's mark.
    inputs
        The new names of its inputs by their present names.
    held
        Constants that are inputs of the traced function.
    layers
        Names of the layers.

    Raises
    ------
    InputError
        If an operation or a layer's mark did not reach ONNX.
    """
    _name_inputs(model, inputs, held)
    _marks_to_layers(model, layers)
    _check_foreign_nodes(model)
    _fix_groups(model)
    _forget_session(model)


def _name_inputs(model: ModelProto, inputs: Mapping[str, str], held: Mapping[str, NDArray[Any]]) -> None:
    """Rename the inputs, and turn those that hold constants into constants."""
    numpy_helper = require("onnx", extra="cpu").numpy_helper
    for value in list(model.graph.input):
        name = inputs.get(value.name.removesuffix(":0"))
        if name is None:
            model.graph.initializer.append(numpy_helper.from_array(held[value.name], value.name))
            model.graph.input.remove(value)
        else:
            rename_uses(model.graph, value.name, name)
            value.name = name
            value.type.tensor_type.shape.dim[0].dim_param = "batch"


def _marks_to_layers(model: ModelProto, layers: Sequence[str]) -> None:
    """Turn each mark into an Identity with a known name, and its input into the output of its layer."""
    onnx = require("onnx", extra="cpu")
    graph = model.graph
    missing = {mark_text(name): name for name in layers}
    for name in layers:
        # The output moves to the other side of the mark.
        rename_uses(graph, LAYER + name, BEHIND + name)
        for node in graph.node:
            node.output[:] = [BEHIND + name if output == LAYER + name else output for output in node.output]
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.domain == DOMAIN:
            text = attribute(node, "message", b"").decode()
            if text in missing:
                tensor = LAYER + missing.pop(text)
                nodes.append(onnx.helper.make_node("Identity", [node.input[0]], [tensor], name=tensor))
                node.name = text
            node.op_type, node.domain = "Identity", ""
            del node.attribute[:]
        nodes.append(onnx.NodeProto.FromString(node.SerializeToString()))
    for name in missing.values():
        raise InputError(f"tf2onnx dropped layer {name!r}; name another layer")
    del graph.node[:]
    graph.node.extend(nodes)
    model.opset_import.remove(next(entry for entry in model.opset_import if entry.domain == DOMAIN))


def _check_foreign_nodes(model: ModelProto) -> None:
    """Raise an `InputError` for TensorFlow operations that tf2onnx did not convert."""
    onnx = require("onnx", extra="cpu")
    versions = {entry.domain: entry.version for entry in model.opset_import}
    foreign = {
        node.op_type
        for node in model.graph.node
        if node.domain not in versions or not onnx.defs.has(node.op_type, versions[node.domain], node.domain)
    }
    if any(kind.endswith("PartitionedCall") for kind in foreign):
        raise InputError(
            "a part of the model is compiled by XLA, as Keras does with grouped and channels-first 3-D convolutions; "
            "tf2onnx does not convert it. Export the Keras model itself, not its SavedModel"
        )
    if foreign:
        raise InputError(
            f"tf2onnx has no counterpart of TensorFlow's {', '.join(sorted(foreign))}; replace the layers that use them"
        )


def _fix_groups(model: ModelProto) -> None:
    """Set the number of groups of grouped 3-D convolutions, which tf2onnx leaves out."""
    known = shapes(model)
    for node in model.graph.node:
        if node.op_type == "Conv":
            channels, per_group = (known.get(name, ("?", "?"))[1] for name in node.input[:2])
            for entry in node.attribute:
                if entry.name == "group" and isinstance(channels, int) and isinstance(per_group, int):
                    entry.i = channels // per_group


def _forget_session(model: ModelProto) -> None:
    """Remove what is specific to this session, so that the same model always results in the same file.

    This is the name of the traced function, the names of unknown sizes, and the running number in tf2onnx's names.
    """
    graph = model.graph
    graph.name, graph.doc_string = DOMAIN, ""
    for value in graph.output:
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("dim_param")
    if any(entry.HasField("g") for node in graph.node for entry in node.attribute):
        return
    own = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {}

    def renamed(name: str) -> str:
        if name not in names:
            names[name] = name if name in own else NUMBER.sub(f"__{len(names)}", name)
        return names[name]

    for node in graph.node:
        node.name = renamed(node.name)
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
    for tensor in graph.initializer:
        tensor.name = renamed(tensor.name)
    places = {name: place for place, name in enumerate(names.values())}
    graph.initializer.sort(key=lambda tensor: places[tensor.name])
