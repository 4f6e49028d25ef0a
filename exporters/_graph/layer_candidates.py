"""Select the tensors that people would call layers, without the fragments of one activation, norm or linear layer.

Tensors that follow from one tensor only by fixed functions (no weight mixes channels, no other tensor is added) form a
family; a decomposed GELU, LayerNorm or BatchNorm is inside a family. The tensor that a family starts from is listed,
and the final output of an activation or a norm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sdmetrics.exporters._graph.axes import (
    ACTIVATIONS,
    BROADCAST,
    CARRIES,
    CHANNEL_FIRST,
    CHANNEL_LAST,
    CONTRACTIONS,
    CONVOLUTIONS,
    RECURRENT,
    RESHAPES,
)
from sdmetrics.exporters._graph.nodes import Shape, constants

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

NORMS = CHANNEL_FIRST | CHANNEL_LAST | {"InstanceNormalization"}
LISTED = ACTIVATIONS | NORMS | {"MaxPool"}
AFFINE = {"Add", "Div", "Mul", "Sub"}
UNARY = CARRIES | NORMS | RESHAPES | {"Gather", "Transpose"}


def worth_listing(model: ModelProto, shapes: Mapping[str, Shape]) -> set[str]:
    """Return the names of the tensors that are worth listing as layers."""
    return _Families(model, shapes).layers()


class _Families:
    """The tensors of a graph, each with the tensor that its family starts from."""

    def __init__(self, model: ModelProto, shapes: Mapping[str, Shape]) -> None:
        self.shapes = shapes
        self.constants = constants(model)
        self.made_by: dict[str, NodeProto] = {}
        self.start: dict[str, str] = {}
        self.readers: defaultdict[str, list[NodeProto]] = defaultdict(list)
        self.exact, self.rounded = _quantised(model)
        self.read_exactly = {output.name for output in model.graph.output}
        self.nodes = []
        for node in model.graph.node:
            if node.op_type in ("Constant", "QuantizeLinear", "Shape") or node.output[0] in self.exact:
                continue
            self.nodes.append(node)
            self.read_exactly.update(node.input)
            for name in self._reads(node):
                self.readers[name].append(node)
            starts = {self.start.get(name, name) for name in self._reads(node)}
            kind = node.op_type
            same = len(starts) == 1 and (kind in UNARY | BROADCAST or kind.startswith("Reduce"))
            for name in filter(None, node.output):
                self.made_by[name] = node
                self.start[name] = next(iter(starts)) if same else name

    def layers(self) -> set[str]:
        """Return the tensors that are worth listing."""
        found: set[str] = set()
        for node in self.nodes:
            if node.op_type in RECURRENT:
                found.update(self._unfolded(name) for name in node.output[:2] if name)
            elif node.output and node.output[0] and self._is_layer(node):
                tensor = self._complete(node)
                # Where nothing reads the exact tensor, a quantised model computes with the rounded one.
                found.add(tensor if tensor in self.read_exactly else self.rounded.get(tensor, tensor))
        return found

    def _is_layer(self, node: NodeProto) -> bool:
        """Return whether a node computes a layer, or the first part of a layer."""
        kind, reads, output = node.op_type, self._reads(node), node.output[0]
        if kind in CONVOLUTIONS:
            return True
        if kind in CONTRACTIONS:
            return any(name in self.constants for name in node.input[: 4 if kind.startswith("QLinear") else 2])
        if self.start[output] == output:
            return kind in BROADCAST and len(reads) > 1 and not any(map(self._counts, reads))
        if kind in BROADCAST and len(set(reads)) > 1:
            # What is centred about its own mean is half a norm.
            return kind != "Sub" and not self._rejoins(output)
        if kind in AFFINE:
            return self._ends_norm(node) or self._is_position(node)
        return kind in LISTED and not self._rejoins(output)

    def _unfolded(self, output: str) -> str:
        """Return what a recurrent layer's tensor becomes where its directions are joined or dropped."""
        while (after := self._only_reader(output)) and after.op_type in {"Reshape", "Squeeze", "Transpose"}:
            output = after.output[0]
        return output

    def _complete(self, node: NodeProto) -> str:
        """Return the tensor of the complete layer: with its bias, or after the scale and shift of a norm."""
        output: str = node.output[0]
        mixes = node.op_type in CONVOLUTIONS | CONTRACTIONS
        if mixes:
            while (after := self._only_reader(output)) and self._is_rescaled(node, after):
                output = after.output[0]
            after = self._only_reader(output)
            return after.output[0] if after and after.op_type == "Add" and self._is_affine(after) else output
        if node.op_type in BROADCAST and self.start[output] != output:
            while (after := self._only_reader(output)) and self._is_affine(after):
                output = after.output[0]
        return output

    def _is_rescaled(self, node: NodeProto, after: NodeProto) -> bool:
        """Return whether `after` rescales the integers of a quantised layer."""
        integer = node.op_type.endswith("Integer") or node.op_type.startswith("QLinear")
        return integer and after.op_type in ("Cast", "DequantizeLinear", "Mul")

    def _counts(self, tensor: str) -> bool:
        """Return whether a tensor is the integer sum of a quantised layer, still without its scale."""
        node = self.made_by.get(tensor)
        before = self.made_by.get(node.input[0]) if node is not None and node.op_type == "Cast" else None
        return before is not None and before.op_type.endswith("Integer")

    def _is_affine(self, node: NodeProto) -> bool:
        """Return whether a node scales or shifts every unit by a constant."""
        fixed = [self.shapes.get(name, ()) for name in node.input if name in self.constants]
        return node.op_type in AFFINE and len(fixed) == 1 and sum(size != 1 for size in fixed[0]) <= 1

    def _ends_norm(self, node: NodeProto) -> bool:
        """Return whether a node is the last of those that scale and shift like a BatchNorm."""
        if not self._is_affine(node) or self._rejoins(node.output[0]):
            return False
        after = self._only_reader(node.output[0])
        if after is not None and self._is_affine(after):
            return False
        steps, before = [node], self.made_by.get(self._reads(node)[0])
        while before is not None and self._is_affine(before) and self._only_reader(before.output[0]) is steps[-1]:
            steps.append(before)
            before = self.made_by.get(self._reads(before)[0])
        if all(self._is_scalar(step) for step in steps) or before is None:
            return False
        kinds = [step.op_type for step in reversed(steps)]
        return kinds != ["Add"] and before.op_type in CONVOLUTIONS | RESHAPES | NORMS and len(kinds) > 1

    def _is_position(self, node: NodeProto) -> bool:
        """Return whether a node adds a constant that depends on the position, like a position embedding."""
        fixed = [self.shapes.get(name, ()) for name in node.input if name in self.constants]
        return node.op_type == "Add" and any(sum(size != 1 for size in shape) > 1 for shape in fixed)

    def _is_scalar(self, node: NodeProto) -> bool:
        """Return whether a node scales or shifts all units by the same number."""
        return all(size == 1 for name in node.input if name in self.constants for size in self.shapes.get(name, ()))

    def _rejoins(self, tensor: str) -> bool:
        """Return whether the rest of its family also reads other tensors of it; then the tensor is a fragment."""
        family, own = self.start[tensor], {tensor}
        waiting = list(self.readers[tensor])
        seen: set[int] = set()
        joins = []
        while waiting:
            node = waiting.pop()
            if id(node) in seen or not node.output or self.start.get(node.output[0]) != family:
                continue
            seen.add(id(node))
            joins.append(node)
            own.update(node.output)
            waiting += [reader for output in node.output for reader in self.readers[output]]
        return any(name not in own for node in joins for name in self._reads(node))

    def _only_reader(self, tensor: str) -> NodeProto | None:
        """Return the only node that reads a tensor, or None."""
        readers = self.readers[tensor]
        return readers[0] if len(readers) == 1 else None

    def _reads(self, node: NodeProto) -> list[str]:
        """Return the tensors that a node computes with, without those that only specify a shape or a size."""
        first = 1 if node.op_type in UNARY - {"Gather"} or node.op_type.startswith("Reduce") else len(node.input)
        reads = [self.exact.get(name, name) for name in node.input[:first] if name]
        return [name for name in reads if name not in self.constants]


def _quantised(model: ModelProto) -> tuple[dict[str, str], dict[str, str]]:
    """Return the tensor before quantisation of each DequantizeLinear output, and the first such output of each."""
    exact: dict[str, str] = {}
    rounded: dict[str, str] = {}
    before: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            before[node.output[0]] = exact.get(node.input[0], node.input[0])
        elif node.op_type == "DequantizeLinear" and node.input[0] in before:
            exact[node.output[0]] = before[node.input[0]]
            rounded.setdefault(before[node.input[0]], node.output[0])
    return exact, rounded
