"""Convert a model's body to float16, for a probe that needs half the memory and runs faster on GPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from sdmetrics.errors import InputError, one_line, require
from sdmetrics.exporters._graph.nodes import element_types, fed_inputs
from sdmetrics.probes.feeds import Arrays, example_feeds
from sdmetrics.probes.graph_walk import subgraphs
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.kept_weights import kept_tensors
from sdmetrics.probes.onnx_file import set_nodes, sort_nodes
from sdmetrics.probes.placement import relative_error
from sdmetrics.probes.session import fixed_batch, runtime
from sdmetrics.probes.trial import open_trial, run, values_in_clip

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

SUMS = (
    *("ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceProd"),
    *("ReduceLogSum", "ReduceLogSumExp", "AveragePool", "GlobalAveragePool", "InstanceNormalization"),
)
"""Operators that add up many values and may do so in float16; convolutions, matrix products and LayerNorm do not."""

ALLOWED = 5e-3
"""The largest error relative to a layer's scale. float16 rounds to 5e-4, and 50 layers add up to some 2e-3."""

KINDS_OF_WEIGHTS = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "INT8", "UINT8")


def halve(model: ModelProto, name: str) -> ModelProto:
    """Return a float32 model with its body, inputs and outputs in float16. Sums of many values stay in float32.

    Raises
    ------
    InputError
        If the model does not compute in float32 or keeps its weights in files, or one of its operators has no
        half-precision form.
    """
    onnx, _ = require("onnx", extra="cpu"), runtime()
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    if kept_tensors(model.graph):
        raise InputError(
            f"model {name} has more than 2 GiB of weights, which are not converted to half precision here; drop half, "
            "or convert the model before its export, e.g. with module.half()"
        )
    if precision(model) != "float32":
        raise InputError(
            f"model {name} computes in {precision(model)}; half precision expects float32. Drop half: the model is "
            "measured as it is"
        )
    try:
        half: ModelProto = convert_float_to_float16(model, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *SUMS])
        sort_nodes(half.graph)
        onnx.checker.check_model(half, full_check=True)
    except Exception as error:
        raise InputError(f"model {name} cannot be converted to half precision: {one_line(error)}. Drop half") from None
    return half


def precision(model: ModelProto) -> str:
    """Return NumPy's name for the type of most of a model's weights, or of its inputs if it has no weights."""
    onnx = require("onnx", extra="cpu")
    kinds = {getattr(onnx.TensorProto, kind) for kind in KINDS_OF_WEIGHTS}
    sizes = Counter({value.type.tensor_type.elem_type: 1 for value in fed_inputs(model.graph)})
    for tensor in model.graph.initializer:
        if tensor.data_type in kinds:
            sizes[tensor.data_type] += prod(tensor.dims)
    return str(onnx.helper.tensor_dtype_to_np_dtype(sizes.most_common(1)[0][0]).name)


def check_half(probe: ModelProto, units: Arrays, inputs: Sequence[ModelInput]) -> None:
    """Check that float16 holds every layer. `units` are those that `place_and_pool` returned for the float32 model.

    A CPU computes float16 models in float32, so `rounded` imitates a GPU.

    Raises
    ------
    InputError
        If a layer is not finite in half precision, or its units differ by more than 5e-3 of their scale.
    """
    trial = open_trial(rounded(probe), values_in_clip(inputs), batch=fixed_batch(probe))
    results = run(trial, example_feeds(inputs), [f"units/{layer}" for layer in units])
    for layer, expected in units.items():
        values = results[f"units/{layer}"]
        if not np.isfinite(values).all():
            raise InputError(
                f"layer {layer!r} overflows in half precision, whose largest number is 65504: the layer, or a tensor "
                "before it, is not finite. Drop half, or scale the weights before it down"
            )
        error = relative_error(values, expected)
        if error > ALLOWED:
            raise InputError(
                f"layer {layer!r} differs by {error:.1e} of its scale in half precision; expected at most "
                f"{ALLOWED:.0e}. Its values are too small or cancel. Drop half"
            )


def rounded(half: ModelProto) -> ModelProto:
    """Return a float16 model that computes in float32 and rounds every tensor to float16, as a GPU stores it."""
    onnx = require("onnx", extra="cpu")
    float16, float32 = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    stored = {name for name, kind in element_types(half).items() if kind == float16}
    model: ModelProto = onnx.ModelProto()
    model.CopyFrom(half)
    _widen(model.graph)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        pairs = []
        for index, name in enumerate(node.output):
            if name in stored:
                exact, short = f"sdmetrics/exact/{name}", f"sdmetrics/float16/{name}"
                node.output[index] = exact
                pairs.append(onnx.helper.make_node("Cast", [exact], [short], to=float16))
                pairs.append(onnx.helper.make_node("Cast", [short], [name], to=float32))
        nodes += [node, *pairs]
    set_nodes(model.graph, nodes)
    return model


def _widen(graph: GraphProto) -> None:
    """Turn every float16 of a graph, and of the graphs within it, into float32."""
    onnx = require("onnx", extra="cpu")
    float16, float32 = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    held = [attribute.t for attribute in attributes if attribute.HasField("t")]
    for tensor in [*graph.initializer, *held]:
        if tensor.data_type == float16:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for value in [*graph.input, *graph.output, *graph.value_info]:
        if value.type.tensor_type.elem_type == float16:
            value.type.tensor_type.elem_type = float32
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == float16:
                attribute.i = float32
        for inner in subgraphs(node):
            _widen(inner)
