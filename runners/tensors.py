"""Tensors: a probe that also returns what its layers hold before it is pooled to units."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, require
from sdmetrics.probes.model_file import ModelFile

if TYPE_CHECKING:
    from onnx import ModelProto

OUTPUT = "tensor/"
"""The output `tensor/<layer>` has the axes of the clips, of the channels, then the others in the model's order."""


def with_tensors(probe: ModelFile, layers: Collection[str]) -> ModelFile:
    """Return a probe that also returns `tensor/<layer>`, float32, for some of its layers.

    Raises
    ------
    InputError
        If it was made by a version whose probes do not tell what is pooled.
    """
    onnx = require("onnx", extra="cpu")
    assert probe.metadata is not None
    model: ModelProto = onnx.ModelProto()
    model.CopyFrom(probe.model)
    made = {name for node in model.graph.node for name in node.output}
    for layer in probe.metadata.layers:
        # What every probe pools: the layer before its mask, as float32.
        pooled, output = f"sdmetrics/units/{layer.name}/cast", OUTPUT + layer.name
        if layer.name not in layers:
            continue
        if pooled not in made:
            raise InputError(f"{probe.path} does not tell what it pools for layer {layer.name!r}; make the probe again")
        assert layer.channel_axis is not None
        first = [layer.batch_axis, layer.channel_axis]
        perm = [*first, *(axis for axis in range(len(layer.shape)) if axis not in first)]
        model.graph.node.append(onnx.helper.make_node("Transpose", [pooled], [output], perm=perm))
        shape = [f"{output}/{axis}" for axis in perm]
        model.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, shape))
    outputs = (*probe.metadata.outputs, *(OUTPUT + name for name in layers))
    return replace(probe, model=model, metadata=replace(probe.metadata, outputs=outputs))
