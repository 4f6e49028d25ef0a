"""Style networks: the two small ones in `tests/data`, rewritten in every convention, and others written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sdmetrics.clips.styles.networks import VALUES

IMITATED = {"learned-ink": "ink", "learned-neon": "neon"}
"""The networks that `benchmarks/models/style_networks.py` trained, and the built-in styles that they imitate."""

FILES = {name: Path(__file__).parents[1] / "data" / f"{name}.onnx" for name in IMITATED}
TYPES = {"float": TensorProto.FLOAT, "half": TensorProto.FLOAT16, "bytes": TensorProto.UINT8}


def wrapped(
    name: str,
    folder: Path,
    reads: str = "float",
    writes: str = "float",
    values: str = "0..1",
    layout: str = "NCHW",
    shape: Sequence[int | str] = ("N", "H", "W"),
) -> Path:
    """Write a trained network again, in another convention."""
    model = onnx.load(FILES[name])
    graph = model.graph
    inner_in, inner_out = graph.input[0].name, graph.output[0].name
    white_inside = 255.0 if name == "learned-neon" else 1.0
    black, white = VALUES[values]
    weights = {
        "gain": white_inside / (white - black),
        "black": black,
        "back": (white - black) / white_inside,
    }
    graph.initializer.extend(numpy_helper.from_array(np.float32(v), k) for k, v in weights.items())
    last, first = ([0, 3, 1, 2], [0, 2, 3, 1]) if layout == "NHWC" else ([0, 1, 2, 3], [0, 1, 2, 3])
    node = helper.make_node
    before = [
        node("Cast", ["x"], ["x/float"], to=TensorProto.FLOAT),
        node("Transpose", ["x/float"], ["x/first"], perm=last),
        node("Sub", ["x/first", "black"], ["x/from-0"]),
        node("Mul", ["x/from-0", "gain"], [inner_in]),
    ]
    after = [
        node("Mul", [inner_out, "back"], ["y/from-0"]),
        node("Add", ["y/from-0", "black"], ["y/float"]),
        node("Round", ["y/float"], ["y/whole"]),
        node("Transpose", ["y/whole" if writes == "bytes" else "y/float"], ["y/turned"], perm=first),
        node("Cast", ["y/turned"], ["y"], to=TYPES[writes]),
    ]
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.value_info[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    batch, height, width = shape
    declared = [batch, height, width, 3] if layout == "NHWC" else [batch, 3, height, width]
    graph.input.append(helper.make_tensor_value_info("x", TYPES[reads], declared))
    graph.output.append(helper.make_tensor_value_info("y", TYPES[writes], [None] * 4))
    path = folder / f"{name}-{reads}-{writes}.onnx"
    onnx.save(model, path)
    return path


def network(
    folder: Path,
    nodes: Sequence[tuple[str, list[str], list[str], dict[str, object]]],
    weights: dict[str, np.ndarray] | None = None,
    shape: Sequence[int | str | None] = ("N", 3, "H", "W"),
    inputs: Sequence[str] = ("x",),
    outputs: Sequence[str] = ("y",),
    dtype: int = TensorProto.FLOAT,
    opset: int = 17,
) -> Path:
    """Write a small network by hand."""
    graph = helper.make_graph(
        [helper.make_node(kind, reads, writes, **attributes) for kind, reads, writes, attributes in nodes],
        "g",
        [helper.make_tensor_value_info(name, dtype, shape) for name in inputs],
        [helper.make_tensor_value_info(name, dtype, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4 if opset < 10 else 8)
    path = folder / "network.onnx"
    path.write_bytes(model.SerializeToString())
    return path
