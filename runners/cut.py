"""Cut a model at one of its inputs, such as a mask: the trunk does not depend on it, the head is the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdmetrics.probes.onnx_file import all_reads

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


@dataclass(frozen=True)
class Cut:
    """The two halves of a model.

    Parameters
    ----------
    trunk
        Reads the model's inputs; returns the model's outputs that do not depend on the input that it is cut at, and
        `crossing`.
    head
        Reads that input, `crossing` and perhaps other inputs of the model; returns the other outputs. `crossing` is
        not declared among its inputs: only a runtime that opens the trunk knows the types of all operators.
    crossing
        The tensors that the trunk computes and the head reads.
    """

    trunk: ModelProto
    head: ModelProto
    crossing: tuple[str, ...]


def cut(model: ModelProto, at: str, outputs: Sequence[str]) -> Cut:
    """Return the halves of a model that is cut at the input `at`, with these of its outputs. Its nodes are in order.

    What depends on no input is in each half that reads it, so that the runtime knows it is constant. Graphs that nodes
    (If, Loop, Scan) hold stay whole: such a node depends on all that it reads from outside.

    Raises
    ------
    ValueError
        If no output depends on `at`, or nothing is left for a trunk.
    """
    graph = model.graph
    reads = [{name for name in all_reads(node) if name} for node in graph.node]
    masked = _reached(graph.node, reads, {at})
    varying = _reached(graph.node, reads, {value.name for value in graph.input})
    constant = [names.isdisjoint(varying) for names in reads]
    behind = [not names.isdisjoint(masked) for names in reads]
    last = [name for name in outputs if name in masked]
    head = _needed(graph.node, reads, last, [a or b for a, b in zip(behind, constant, strict=True)])
    made = {name for index in head for name in graph.node[index].output}
    read = {name for index in head for name in reads[index]}
    crossing = sorted(name for node in graph.node for name in node.output if name in read - made)
    if not last or not crossing:
        raise ValueError(f"no output depends on both {at} and the clips")
    first = list(dict.fromkeys([*(name for name in outputs if name not in masked), *crossing]))
    trunk = _needed(graph.node, reads, first, [not each for each in behind])
    return Cut(_half(model, trunk, first), _half(model, head, last), tuple(crossing))


def _reached(nodes: Iterable[NodeProto], reads: Iterable[set[str]], start: Collection[str]) -> set[str]:
    """Return the tensors that depend on any of `start`, and those."""
    reached = set(start)
    for node, names in zip(nodes, reads, strict=True):
        if not names.isdisjoint(reached):
            reached.update(name for name in node.output if name)
    return reached


def _needed(
    nodes: Sequence[NodeProto], reads: Sequence[set[str]], outputs: Iterable[str], allowed: Sequence[bool]
) -> list[int]:
    """Return which of the allowed nodes lead to `outputs`, in order."""
    needed, chosen = set(outputs), []
    for index in reversed(range(len(nodes))):
        if allowed[index] and not needed.isdisjoint(nodes[index].output):
            chosen.append(index)
            needed |= reads[index]
    return chosen[::-1]


def _half(model: ModelProto, chosen: Sequence[int], outputs: Sequence[str]) -> ModelProto:
    """Return a model of some of the nodes, with the inputs and weights that they read."""
    half: ModelProto = type(model)(ir_version=model.ir_version)
    half.opset_import.extend(model.opset_import)
    half.functions.extend(model.functions)
    graph, whole = half.graph, model.graph
    graph.name = whole.name
    graph.node.extend(whole.node[index] for index in chosen)
    used = {*outputs, *(name for node in graph.node for name in all_reads(node))}
    graph.input.extend(value for value in whole.input if value.name in used)
    graph.initializer.extend(tensor for tensor in whole.initializer if tensor.name in used)
    graph.sparse_initializer.extend(each for each in whole.sparse_initializer if each.values.name in used)
    made = {name for node in graph.node for name in node.output}
    graph.value_info.extend(value for value in whole.value_info if value.name in made.difference(outputs))
    described = {value.name: value.type for value in [*whole.value_info, *whole.output]}
    for name in outputs:
        # The runtime infers the type of an output that is not described.
        graph.output.add(name=name, type=described.get(name))
    return half
