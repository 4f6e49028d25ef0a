"""Which axis of a tensor holds the channels, and which the time: followed through the graph, never guessed.

A tensor's axes carry labels: `N`, `C`, `T`, `H`, `W`, or None where nothing is proven. Convolutions and
normalisations put the channels first, linear layers last; everything else carries, moves or drops the labels
it is given. Where the clips lie is not followed but measured (`sdmetrics.exporters.verify`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sdmetrics.exporters.graph import Shape, fed_inputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

Labels = tuple[str | None, ...]

CHANNEL_FIRST = {"BatchNormalization", "InstanceNormalization", "GroupNormalization"}
CHANNEL_LAST = {"LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization"}
BROADCAST = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "Where", "PRelu", "Mod"}
RESHAPES = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}
ACTIVATIONS = {
    "Celu", "Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Relu", "Selu", "Sigmoid",
    "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu",
}  # fmt: skip
CARRIES = ACTIVATIONS | {
    "Abs", "AveragePool", "Cast", "CumSum", "DequantizeLinear", "Dropout", "Erf", "Exp", "Expand",
    "GlobalAveragePool", "GlobalMaxPool", "Identity", "LRN", "Log", "LogSoftmax", "LpNormalization", "LpPool",
    "MaxPool", "Neg", "Pad", "QuantizeLinear", "Reciprocal", "Resize", "Round", "Slice", "Softmax", "Split",
    "Sqrt", "Trilu", "Upsample",
}  # fmt: skip


def label_axes(model: ModelProto, shapes: Mapping[str, Shape], layouts: Mapping[str, str]) -> dict[str, Labels]:
    """Return the labels of every tensor's axes; `layouts` gives those of the model's inputs."""
    graph = model.graph
    labels: dict[str, Labels] = {}
    for value in fed_inputs(graph):
        rank = len(shapes.get(value.name, ()))
        layout = layouts.get(value.name, "")
        labels[value.name] = tuple(layout) if len(layout) == rank else ("N", *[None] * (rank - 1))[:rank]
    walk = _Walk(labels, shapes, _constants(model))
    for node in graph.node:
        found = walk.output(node)
        if found is not None:
            labels.update((name, found) for name in node.output if len(found) == len(shapes.get(name, found)))
    return labels


def axis_of(labels: Labels | None, label: str) -> int | None:
    """Return the one axis that has the label, or None.

    Examples
    --------
    >>> axis_of(("N", None, "C"), "C")
    2
    """
    return labels.index(label) if labels is not None and labels.count(label) == 1 else None


class _Walk:
    """The rules, one per kind of node."""

    def __init__(
        self,
        labels: Mapping[str, Labels],
        shapes: Mapping[str, Shape],
        constants: Mapping[str, NDArray[np.int64] | None],
    ) -> None:
        self.labels = labels
        self.shapes = shapes
        self.constants = constants

    def output(self, node: NodeProto) -> Labels | None:
        """Return the labels of the node's outputs, if they are proven."""
        kind = node.op_type
        rule: Callable[[NodeProto], Labels | None]
        if kind in BROADCAST:
            rule = self._broadcast
        elif kind in RESHAPES:
            rule = self._reshape
        elif kind.startswith("Reduce"):
            rule = self._reduce
        else:
            rule = {
                "Conv": self._conv, "ConvTranspose": self._conv, "MatMul": self._matmul, "Gemm": self._gemm,
                "Transpose": self._transpose, "Concat": self._concat, "Gather": self._gather,
            }.get(kind, self._carry)  # fmt: skip
        return rule(node)

    def _of(self, node: NodeProto, index: int = 0) -> Labels | None:
        """Return the labels of one input."""
        return self.labels.get(node.input[index]) if index < len(node.input) else None

    def _carry(self, node: NodeProto) -> Labels | None:
        """Nodes that keep every axis where it is; those that normalise say which one holds the channels."""
        labels = self._of(node)
        if labels is None or not labels:
            return None
        if node.op_type in CHANNEL_FIRST and len(labels) > 1:
            return _with_channel(labels, 1)
        if node.op_type in CHANNEL_LAST:
            last = _attribute(node, "axis", -1) in (-1, len(labels) - 1)
            return _with_channel(labels, len(labels) - 1) if last and "C" not in labels else labels
        return labels if node.op_type in CARRIES else None

    def _conv(self, node: NodeProto) -> Labels | None:
        labels = self._of(node) or (None,) * len(self.shapes.get(node.input[1], ()))
        return _with_channel(labels, 1) if len(labels) > 1 else None

    def _gemm(self, node: NodeProto) -> Labels | None:
        labels = self._of(node)
        return None if labels is None or _attribute(node, "transA", 0) else (labels[0], "C")

    def _matmul(self, node: NodeProto) -> Labels | None:
        left, right = self._of(node), self._of(node, 1)
        if left is not None and len(left) > 1 and node.input[1] in self.constants:
            return _with_channel(left, len(left) - 1)
        if right is not None and len(right) > 1 and node.input[0] in self.constants:
            return (*right[:-2], "C" if right[-2] == "C" else None, right[-1])
        if left is None or right is None or len(left) != len(right) or len(left) < 2:
            return None
        return (*left[:-1], right[-1])

    def _transpose(self, node: NodeProto) -> Labels | None:
        labels = self._of(node)
        if labels is None:
            return None
        order = _attribute(node, "perm", list(range(len(labels)))[::-1])
        return tuple(labels[axis] for axis in order)

    def _broadcast(self, node: NodeProto) -> Labels | None:
        known = [(labels, self.shapes.get(name)) for name in node.input if (labels := self.labels.get(name))]
        if not known:
            return None
        rank = max(len(self.shapes.get(name, self.labels.get(name, ()))) for name in node.input)
        result: list[str | None] = []
        for axis in range(-rank, 0):
            meeting = [(labels[axis], shape[axis] if shape else "?") for labels, shape in known if len(labels) >= -axis]
            # An axis of one entry is stretched along the other's and has no say in what it means.
            found = {label for label, size in meeting if size != 1} or {label for label, _ in meeting}
            result.append(found.pop() if len(found) == 1 else None)
        return tuple(result)

    def _concat(self, node: NodeProto) -> Labels | None:
        known = [labels for name in node.input if (labels := self.labels.get(name))]
        if not known or len({len(labels) for labels in known}) > 1:
            return None
        return tuple(found[0] if len(set(found)) == 1 else None for found in zip(*known, strict=True))

    def _gather(self, node: NodeProto) -> Labels | None:
        labels, index = self._of(node), self.shapes.get(node.input[1])
        if labels is None or index is None:
            return None
        axis = _attribute(node, "axis", 0) % len(labels)
        middle = (labels[axis],) if len(index) == 1 else (None,) * len(index)
        return (*labels[:axis], *middle, *labels[axis + 1 :])

    def _reduce(self, node: NodeProto) -> Labels | None:
        labels = self._of(node)
        axes = _attribute(node, "axes", None)
        if axes is None and len(node.input) > 1:
            value = self.constants.get(node.input[1])
            axes = None if value is None else value.tolist()
        if labels is None or axes is None:
            return None
        if _attribute(node, "keepdims", 1):
            return labels
        gone = {axis % len(labels) for axis in axes}
        return tuple(label for axis, label in enumerate(labels) if axis not in gone)

    def _reshape(self, node: NodeProto) -> Labels | None:
        labels = self._of(node)
        before, after = self.shapes.get(node.input[0]), self.shapes.get(node.output[0])
        return None if labels is None or before is None or after is None else follow_reshape(labels, before, after)


def follow_reshape(labels: Labels, before: Shape, after: Shape) -> Labels:
    """Return the labels after a reshape: axes equal from the left or from the right are the same axes.

    Examples
    --------
    >>> follow_reshape(("N", "C", "T", "H", "W"), ("n", 64, 4, 7, 7), ("n", 64, 196))
    ('N', 'C', None)
    >>> follow_reshape(("N", "T", "C", "H", "W"), ("n", 8, 3, 9, 9), ("8*n", 3, 9, 9))
    (None, 'C', 'H', 'W')
    """
    left = 0
    while left < min(len(before), len(after)) and before[left] == after[left] != "?":
        left += 1
    right = 0
    while right < min(len(before), len(after)) - left and before[-1 - right] == after[-1 - right] != "?":
        right += 1
    inner, outer = labels[left : len(before) - right], len(after) - left - right
    if outer == 1:
        meant = {label for label, size in zip(inner, before[left:], strict=False) if size != 1}
        middle: Labels = (meant.pop() if len(meant) == 1 else None,)
    else:
        middle = (None,) * outer
    return (*labels[:left], *middle, *labels[len(before) - right :])


def _with_channel(labels: Labels, axis: int) -> Labels:
    """Return the labels with the channels at `axis` and nowhere else."""
    return tuple("C" if i == axis else None if label == "C" else label for i, label in enumerate(labels))


def _attribute(node: NodeProto, name: str, default: object) -> Any:  # noqa: ANN401 (as ONNX)
    """Return a node's attribute."""
    from onnx import helper

    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def _constants(model: ModelProto) -> dict[str, NDArray[np.int64] | None]:
    """Return the tensors that no input reaches, with the value of the short ones."""
    from onnx import numpy_helper

    small = 64
    found: dict[str, NDArray[np.int64] | None] = {}
    for tensor in model.graph.initializer:
        short = len(tensor.dims) == 1 and tensor.dims[0] <= small
        found[tensor.name] = numpy_helper.to_array(tensor) if short else None
    for node in model.graph.node:
        if node.op_type == "Constant":
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            short = value is not None and len(value.dims) == 1 and value.dims[0] <= small
            found[node.output[0]] = numpy_helper.to_array(value) if value is not None and short else None
        elif node.input and all(not name or name in found for name in node.input):
            found.update(dict.fromkeys(node.output))
    return found
