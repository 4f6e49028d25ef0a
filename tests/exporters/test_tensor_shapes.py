"""Shapes are measured without holding a whole forward in memory."""

import itertools
import subprocess
import sys

import onnx
from onnx import TensorProto, helper

TENSORS = 48

RUN = """
import resource, sys
import onnx
from sdmetrics.exporters._graph.tensor_shapes import known_shapes
from sdmetrics.clips.views import ModelInput

model = onnx.load(sys.argv[1])
video = ModelInput("video", frames=1, size=(512, 512), layout="NTCHW")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(known_shapes(model, [video])["last"])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_tensor_is_freed_once_its_shape_is_known(tmp_path):
    video = helper.make_tensor_value_info("video", TensorProto.FLOAT, ["n", 1, 3, 512, 512])
    names = ["video", *(f"t{number}" for number in range(TENSORS)), "last"]
    # What is reshaped to a shape that is computed has none in the file.
    nodes = [helper.make_node("Shape", ["video"], ["shape"]), helper.make_node("Abs", ["shape"], ["same"])]
    for before, after in itertools.pairwise(names):
        nodes.append(helper.make_node("Reshape", [before, "same"], [f"{after}/reshaped"]))
        nodes.append(helper.make_node("Neg", [f"{after}/reshaped"], [after]))
    last = helper.make_tensor_value_info("last", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "chain", [video], [last])
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)]), tmp_path / "m.onnx")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "m.onnx")], capture_output=True, text=True, check=True
    )
    shape, grown = done.stdout.splitlines()
    assert shape == "('n', 1, 3, 512, 512)"
    three_clips = 3 * 3 * 512 * 512 * 4 / 2**20
    assert int(grown) < TENSORS * three_clips / 2
