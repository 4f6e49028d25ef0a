"""Small ONNX files that a stranger could send: each promises, hides or repeats more than a model does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

node = helper.make_node
SHAPE = ("n", 3, 4, 16, 16)
CONV = node("Conv", ["x", "w"], ["c"])
BASE = (CONV, node("Relu", ["c"], ["y"]))


def constant(name, values, dtype=np.int64):
    return numpy_helper.from_array(np.array(values, dtype), name)


def weight():
    return constant("w", np.random.default_rng(0).normal(size=(4, 3, 1, 1, 1)), np.float32)


def saved(
    folder: Path,
    nodes: Sequence[onnx.NodeProto] = BASE,
    *more: onnx.TensorProto,
    shape: Sequence[int | str] = SHAPE,
    dtype: int = TensorProto.FLOAT,
    functions: Sequence[onnx.FunctionProto] = (),
    weights: Sequence[onnx.TensorProto] | None = None,
    outputs: Sequence[onnx.ValueInfoProto] = (),
) -> Path:
    """Write a model with the input `x` and the output `y`; return its path."""
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    x = helper.make_tensor_value_info("x", dtype, list(shape))
    graph = helper.make_graph(nodes, "g", [x], [y, *outputs], [*([weight()] if weights is None else weights), *more])
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid("own", 1)] if functions else [])]
    model = helper.make_model(graph, ir_version=8, opset_imports=opsets, functions=functions)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


def doubled(folder: Path, times: int) -> Path:
    """Write a model whose function calls another twice, and that another twice, `times` times: 2^times nodes."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    made = [helper.make_function("own", "f0", ["a"], ["b"], [node("Neg", ["a"], ["b"])], opsets)]
    for index in range(times):
        twice = [
            node(f"f{index}", ["a"], ["t"], domain="own"),
            node(f"f{index}", ["t"], ["b"], domain="own"),
        ]
        made.append(helper.make_function("own", f"f{index + 1}", ["a"], ["b"], twice, opsets))
    return saved(folder, [CONV, node(f"f{times}", ["c"], ["y"], domain="own")], functions=made)


def endless(folder: Path) -> Path:
    """Write a model with a loop that never ends."""
    body = helper.make_graph(
        [node("Identity", ["going"], ["goes"]), node("Neg", ["v"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    loop = node("Loop", ["", "yes", "c"], ["y"], body=body)
    return saved(folder, [CONV, loop], constant("yes", True, bool))


def with_mean_of(*making: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return the nodes of a model that adds the mean of the tensor `r`, which `making` returns."""
    return [CONV, *making, node("ReduceMean", ["r"], ["mean"], keepdims=0), node("Add", ["c", "mean"], ["y"])]
