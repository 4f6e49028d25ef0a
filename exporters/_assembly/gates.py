"""Gates keep a layer's tensor apart from what its consumers read while a framework's exporter rewrites the model.

A gate is a number that multiplies what a layer's consumers read. It is an input of the model and so cannot be folded:
the tensor before it is exactly the layer's. After the export an Identity with a known name replaces it, where a probe
puts its mask.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError
from sdmetrics.exporters._assembly.assemble import mask_node

if TYPE_CHECKING:
    from onnx import ModelProto

GATE = "gate/"
"""The input `gate/<layer>` of a model is the layer's gate."""


def close_gates(model: ModelProto, names: Iterable[str], several: Collection[str] = ()) -> None:
    """Turn each gate into an Identity with a known name, and drop what only describes the exporting machine.

    The layers in `several` run once per frame, and each run gets its own Identity.
    """
    graph = model.graph
    for name in names:
        readers = [node for node in graph.node if GATE + name in node.input]
        expected = max(1, len(readers)) if name in several else 1
        if len(readers) != expected or any(node.op_type != "Mul" for node in readers):
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
