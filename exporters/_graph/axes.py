"""Determine which axis of a tensor holds the channels, and which the time, by following the graph.

A tensor's axes have labels: `N`, `C`, `T`, `H`, `W`, or None where nothing is proven. Convolutions and normalisations
put the channels first, linear layers last. All other nodes carry, move, split, join or drop the labels of their inputs
(`sdmetrics.exporters._graph.axis_factors`). The axis of the clips is not followed but measured
(`sdmetrics.exporters._assembly.verify`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sdmetrics.exporters._graph.axis_factors import (
    Axes,
    Factor,
    dropped,
    fitted,
    holds,
    label_of,
    met,
    reshaped,
    whole_axis,
    without,
)
from sdmetrics.exporters._graph.contractions import contracted, equation_of
from sdmetrics.exporters._graph.nodes import Shape, constants, fed_inputs
from sdmetrics.probes.onnx_file import attribute

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

Labels = tuple[str | None, ...]

CONVOLUTIONS = {"Conv", "ConvInteger", "ConvTranspose", "FusedConv", "QLinearConv"}
CONTRACTIONS = {
    "Attention", "Einsum", "FusedGemm", "FusedMatMul", "Gemm", "MatMul", "MatMulInteger", "MatMulNBits",
    "QLinearMatMul",
}  # fmt: skip
RECURRENT = {"GRU", "LSTM", "RNN"}
CHANNEL_FIRST = {"BatchNormalization", "GroupNormalization"}
CHANNEL_LAST = {
    "LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
}  # fmt: skip
BROADCAST = {"Add", "Div", "Max", "Mean", "Min", "Mod", "Mul", "PRelu", "Pow", "Sub", "Sum", "Where"}
RESHAPES = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
ACTIVATIONS = {
    "BiasGelu", "Celu", "Clip", "Elu", "FastGelu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu",
    "QuickGelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu",
}  # fmt: skip
CARRIES = ACTIVATIONS | {
    "Abs", "AveragePool", "Cast", "Ceil", "CumSum", "DequantizeLinear", "Dropout", "DynamicQuantizeLinear", "Erf",
    "Exp", "Expand", "Floor", "GlobalAveragePool", "GlobalMaxPool", "Identity", "InstanceNormalization", "LRN", "Log",
    "LogSoftmax", "LpNormalization", "LpPool", "MaxPool", "MeanVarianceNormalization", "Neg", "Pad", "QuantizeLinear",
    "Reciprocal", "Resize", "RotaryEmbedding", "Round", "Slice", "Softmax", "Split", "Sqrt", "Tile", "Trilu",
    "Upsample",
}  # fmt: skip


def label_axes(model: ModelProto, shapes: Mapping[str, Shape], layouts: Mapping[str, str]) -> dict[str, Labels]:
    """Return the labels of every tensor's axes; `layouts` are those of the model's inputs."""
    graph = model.graph
    axes: dict[str, Axes] = {}
    for value in fed_inputs(graph):
        sizes = shapes.get(value.name, ())
        layout = layouts.get(value.name, "")
        labels = tuple(layout) if len(layout) == len(sizes) else ("N", *[None] * (len(sizes) - 1))[: len(sizes)]
        axes[value.name] = tuple(whole_axis(*each) for each in zip(labels, sizes, strict=True))
    walk = _Walk(axes, shapes, constants(model))
    for node in graph.node:
        for name, result in walk.outputs(node).items():
            shape = shapes.get(name)
            if shape is not None and len(result) == len(shape):
                axes[name] = fitted(result, shape)
    return {name: tuple(map(label_of, each)) for name, each in axes.items()}


def axis_of(labels: Labels | None, label: str) -> int | None:
    """Return the only axis with the label, or None.

    Examples
    --------
    >>> axis_of(("N", None, "C"), "C")
    2
    """
    return labels.index(label) if labels is not None and labels.count(label) == 1 else None


class _Walk:
    """The rules for the kinds of nodes."""

    def __init__(
        self,
        axes: Mapping[str, Axes],
        shapes: Mapping[str, Shape],
        constants: Mapping[str, NDArray[np.int64] | None],
    ) -> None:
        self.axes = axes
        self.shapes = shapes
        self.constants = constants

    def outputs(self, node: NodeProto) -> dict[str, Axes]:
        """Return the axes of the node's outputs, as far as they are proven. Their sizes may have changed."""
        if node.op_type in RECURRENT:
            return self._recurrent(node)
        result = self._output(node)
        return {} if result is None else dict.fromkeys(node.output, result)

    def _output(self, node: NodeProto) -> Axes | None:
        """Return the axes that all outputs of the node have."""
        kind = node.op_type
        rule: Callable[[NodeProto], Axes | None]
        if kind in CONVOLUTIONS:
            rule = self._conv
        elif kind in CONTRACTIONS:
            rule = self._contract
        elif kind in BROADCAST:
            rule = self._broadcast
        elif kind in RESHAPES:
            rule = self._reshape
        elif kind.startswith("Reduce"):
            rule = self._reduce
        else:
            rule = {"Concat": self._concat, "Gather": self._gather, "Transpose": self._transpose}.get(kind, self._carry)
        return rule(node)

    def _of(self, node: NodeProto, index: int = 0) -> Axes | None:
        """Return the axes of one input."""
        return self.axes.get(node.input[index]) if index < len(node.input) else None

    def _carry(self, node: NodeProto) -> Axes | None:
        """Handle nodes that keep every axis in place; normalisations also prove which axis holds the channels."""
        axes = self._of(node)
        if axes is None or not axes:
            return None
        if node.op_type == "BatchNormalization" or (node.op_type in CHANNEL_FIRST and not holds(axes, "C")):
            return self._with_channel(node, axes, 1)
        if node.op_type in CHANNEL_LAST:
            last = attribute(node, "axis", -1) in (-1, len(axes) - 1)
            return self._with_channel(node, axes, len(axes) - 1) if last and not holds(axes, "C") else axes
        return axes if node.op_type in CARRIES | CHANNEL_FIRST else None

    def _conv(self, node: NodeProto) -> Axes | None:
        weight = 3 if node.op_type == "QLinearConv" else 1
        unknown = ((),) * len(self.shapes.get(node.input[weight], ()))
        return self._with_channel(node, self._of(node) or unknown, 1)

    def _with_channel(self, node: NodeProto, axes: Axes, channel: int) -> Axes | None:
        """Return the axes with the channels of the node's output in one axis and in no other."""
        shape = self.shapes.get(node.output[0], ())
        if not channel < len(axes) == len(shape):
            return None
        result = [without(axis, "C") for axis in axes]
        result[channel] = whole_axis("C", shape[channel])
        return tuple(result)

    def _contract(self, node: NodeProto) -> Axes | None:
        """Handle nodes that multiply and sum: a constant mixes channels, two tensors are matched along an axis."""
        shape = self.shapes.get(node.output[0])
        reads = [0, 3] if node.op_type == "QLinearMatMul" else [0, 2] if node.op_type == "Attention" else [0, 1]
        ranks = [len(self.shapes.get(node.input[index], ())) for index in reads if index < len(node.input)]
        if node.op_type == "Attention" and node.domain:
            ranks = [ranks[0]]
        equation = equation_of(node, ranks)
        if equation is None or shape is None or len(equation[-1]) != len(shape):
            return None
        operands = [
            None if node.input[index] in self.constants else (self._of(node, index) or ((),) * rank)
            for index, rank in zip(reads, ranks, strict=False)
        ]
        return contracted(*equation, operands, shape)

    def _recurrent(self, node: NodeProto) -> dict[str, Axes]:
        """Handle recurrent layers: their directions and hidden units together are the channels."""
        read = self._of(node)
        hidden, both = attribute(node, "hidden_size", 0), attribute(node, "direction", b"") == b"bidirectional"
        if read is None or len(read) != len(("time", "clips", "channels")) or not hidden:
            return {}
        directions = ((Factor("C", (2, ()), (hidden, ()), (2 * hidden, ())),),) if both else ((),)
        units = (Factor("C", (hidden, ()), of=(2 * hidden, ())),) if both else whole_axis("C", hidden)
        if attribute(node, "layout", 0):
            every, last = (read[0], read[1], *directions, units), (read[0], *directions, units)
        else:
            every, last = (read[0], *directions, read[1], units), (*directions, read[1], units)
        return {name: axes for name, axes in zip(node.output, (every, last, last), strict=False) if name}

    def _transpose(self, node: NodeProto) -> Axes | None:
        axes = self._of(node)
        if axes is None:
            return None
        order = attribute(node, "perm", list(range(len(axes)))[::-1])
        return tuple(axes[axis] for axis in order)

    def _broadcast(self, node: NodeProto) -> Axes | None:
        known = [(axes, self.shapes.get(name)) for name in node.input if (axes := self.axes.get(name))]
        if not known:
            return None
        rank = max(len(self.shapes.get(name, self.axes.get(name, ()))) for name in node.input)
        result = []
        for axis in range(-rank, 0):
            meeting = [(axes[axis], shape[axis] if shape else "?") for axes, shape in known if len(axes) >= -axis]
            # An axis of size 1 is broadcast along the other's, whose meaning it does not change.
            result.append(met([part for part, size in meeting if size != 1] or [part for part, _ in meeting]))
        return tuple(result)

    def _concat(self, node: NodeProto) -> Axes | None:
        known = [axes for name in node.input if (axes := self.axes.get(name))]
        if not known or len({len(axes) for axes in known}) > 1:
            return None
        along = attribute(node, "axis", 0) % len(known[0])
        result = [met(list(axes)) for axes in zip(*known, strict=True)]
        labels = {label_of(axes[along]) for axes in known}
        result[along] = whole_axis(labels.pop() if len(labels) == 1 else None, "?")
        return tuple(result)

    def _gather(self, node: NodeProto) -> Axes | None:
        axes, index = self._of(node), self.shapes.get(node.input[1])
        if axes is None or index is None:
            return None
        axis = attribute(node, "axis", 0) % len(axes)
        if not index:
            return dropped(axes, [axis])
        middle = (axes[axis],) if len(index) == 1 else ((),) * len(index)
        return (*axes[:axis], *middle, *axes[axis + 1 :])

    def _reduce(self, node: NodeProto) -> Axes | None:
        axes, gone = self._of(node), attribute(node, "axes", None)
        if gone is None and len(node.input) > 1:
            value = self.constants.get(node.input[1])
            gone = None if value is None else value.tolist()
        if axes is None or gone is None:
            return None
        return axes if attribute(node, "keepdims", 1) else dropped(axes, gone)

    def _reshape(self, node: NodeProto) -> Axes | None:
        axes = self._of(node)
        before, after = self.shapes.get(node.input[0]), self.shapes.get(node.output[0])
        if axes is None or before is None or after is None or len(axes) != len(before):
            return None
        return reshaped(axes, before, after)
