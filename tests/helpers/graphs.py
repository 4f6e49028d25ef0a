"""Small ONNX graphs, written by hand, that the tests probe."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from sdmetrics.probes.inputs import ModelInput

FRAMES, SIZE = 2, 8
DIMS = {"N": "n", "C": 3, "T": FRAMES, "H": SIZE, "W": SIZE}


def described(layout="NCTHW", name="x", **changes):
    frames = FRAMES if "T" in layout else 1
    return ModelInput(name, **{"frames": frames, "size": (SIZE, SIZE), "layout": layout, **changes})


def graph_model(
    tmp_path,
    nodes,
    outputs,
    weights=(),
    layout="NCTHW",
    shape=None,
    opset=18,
    dtype=TensorProto.FLOAT,
    name="x",
    ir_version=8,
):
    """Write a small model whose nodes are (kind, reads, writes, attributes); return its path."""
    graph = helper.make_graph(
        [helper.make_node(kind, reads, writes, **attributes) for kind, reads, writes, attributes in nodes],
        "g",
        [helper.make_tensor_value_info(name, dtype, shape or [DIMS[axis] for axis in layout])],
        [helper.make_tensor_value_info(output, dtype, None) for output in outputs],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


RELU = [("Relu", ["x"], ["y"], {})]
RNG = np.random.default_rng(0)
W = RNG.normal(size=(5, 3, 1, 1, 1)).astype(np.float32)
TWO = [
    ("Conv", ["x", "w"], ["c"], {}),
    ("Relu", ["c"], ["y"], {}),
    ("ReduceMean", ["y", "axes"], ["z"], {"keepdims": 0}),
]
TWO_W = [("w", W), ("axes", np.array([2, 3, 4]))]
