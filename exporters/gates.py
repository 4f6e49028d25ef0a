"""Gates: how a layer and what its consumers read are kept apart while a framework's exporter rewrites the model.

A gate is a number that multiplies what a layer's consumers read. As an input of the model it cannot be folded, so
the tensor before it is the layer's exactly. Once exported it has done its part, and an Identity of a known name
takes its place: there a probe puts its mask.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, require
from sdmetrics.exporters.assemble import MASK_NODE

if TYPE_CHECKING:
    from onnx import ModelProto

GATE = "gate/"
"""The model's input `gate/<layer>` is the layer's gate."""


def close_gates(model: ModelProto, names: Iterable[str], several: Collection[str] = ()) -> None:
    """Turn each gate into an Identity of a known name; drop what only tells of the exporting machine.

    The layers in `several` run once per frame, and each run reads the gate: there the Identity is of the number one,
    and every run goes on multiplying with it.
    """
    onnx = require("onnx", extra="cpu")
    graph = model.graph
    for name in names:
        readers = [node for node in graph.node if GATE + name in node.input]
        alone = len(readers) == 1
        if not (alone or (readers and name in several)) or any(node.op_type != "Mul" for node in readers):
            raise InputError(f"the framework's exporter moved what follows layer {name!r}; name another layer")
        value = next(value for value in graph.input if value.name == GATE + name)
        graph.input.remove(value)
        if not alone:
            one = onnx.helper.make_tensor(f"one/{name}", value.type.tensor_type.elem_type, [], [1.0])
            graph.initializer.append(one)
            graph.node.insert(0, onnx.helper.make_node("Identity", [one.name], [GATE + name], name=MASK_NODE + name))
            continue
        (gate,) = readers
        other = gate.input[1 - list(gate.input).index(GATE + name)]
        gate.op_type, gate.name = "Identity", MASK_NODE + name
        del gate.input[:]
        gate.input.append(other)
    for described in [
        model,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ]:
        del described.metadata_props[:]
        described.doc_string = ""
