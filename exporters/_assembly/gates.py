"""Gates: how a layer and what its consumers read are kept apart while a framework's exporter rewrites the model.

A gate is a number that multiplies what a layer's consumers read. As an input of the model it cannot be folded, so
the tensor before it is the layer's exactly. Once exported it has done its part, and an Identity of a known name
takes its place: there a probe puts its mask.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError
from sdmetrics.exporters._assembly.assemble import mask_node

if TYPE_CHECKING:
    from onnx import ModelProto

GATE = "gate/"
"""The model's input `gate/<layer>` is the layer's gate."""


def close_gates(model: ModelProto, names: Iterable[str], several: Collection[str] = ()) -> None:
    """Turn each gate into an Identity of a known name; drop what only tells of the exporting machine.

    The layers in `several` run once per frame, and each run has an Identity of its own.
    """
    graph = model.graph
    for name in names:
        readers = [node for node in graph.node if GATE + name in node.input]
        wanted = max(1, len(readers)) if name in several else 1
        if len(readers) != wanted or any(node.op_type != "Mul" for node in readers):
            raise InputError(f"the framework's exporter moved what follows layer {name!r}; name another layer")
        for run, gate in enumerate(readers):
            other = gate.input[1 - list(gate.input).index(GATE + name)]
            gate.op_type, gate.name = "Identity", mask_node(name, run)
            del gate.input[:]
            gate.input.append(other)
        graph.input.remove(next(value for value in graph.input if value.name == GATE + name))
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
