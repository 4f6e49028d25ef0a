"""Sums and means over several axes are taken one axis after the other, to the digits that float32 has."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from sdmetrics.exporters._assembly.sums import AXES_ARE_AN_INPUT, split_sums
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.session import open_session
from sdmetrics.runners.onnxruntime import OnnxRunner
from tests.helpers.graphs import described, graph_model

SHAPE = (2, 3, 4, 5)
ROUNDING = 1e-6


def model_of(nodes, weights=(), opset=18, shape=SHAPE, dtype=TensorProto.FLOAT, outputs=("y",), inputs=()):
    """A model of nodes (kind, reads, writes, attributes) that reads `x`."""
    graph = helper.make_graph(
        [helper.make_node(kind, reads, writes, **attributes) for kind, reads, writes, attributes in nodes],
        "g",
        [helper.make_tensor_value_info("x", dtype, shape), *inputs],
        [helper.make_tensor_value_info(output, dtype, None) for output in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def sum_of(kind, axes, opset, **attributes):
    """A model of one sum; its axes are stated as the opset has them."""
    if opset < AXES_ARE_AN_INPUT[kind]:
        return model_of([(kind, ["x"], ["y"], {"axes": axes, **attributes})], opset=opset)
    return model_of([(kind, ["x", "axes"], ["y"], attributes)], [("axes", np.array(axes, np.int64))], opset)


def split(model):
    """The model after `split_sums`, whose shapes and types fit."""
    after = onnx.ModelProto()
    after.CopyFrom(model)
    split_sums(after)
    onnx.shape_inference.infer_shapes(after, check_type=True, strict_mode=True)
    return after


def values_of(model, **feeds):
    return open_session(model.SerializeToString(), ["CPUExecutionProvider"]).run(None, feeds)


def summed(model):
    """How many axes each sum of a model adds up."""
    fixed = {tensor.name: len(numpy_helper.to_array(tensor).ravel()) for tensor in model.graph.initializer}
    return [
        next((len(a.ints) for a in node.attribute if a.name == "axes"), None) or fixed.get((*node.input, "")[1], 0)
        for node in model.graph.node
        if node.op_type in AXES_ARE_AN_INPUT
    ]


def video(shape, dtype=np.float32):
    """Values that differ little, whose sum in one number rounds to the same side for long."""
    return (0.7 + 0.01 * np.random.default_rng(0).random(shape)).astype(dtype)


def test_units_of_a_large_layer_are_exact(tmp_path):
    """A layer of (1, 32, 128, 128, 3), channels last, whose mean in one pass is far from float32's digits."""
    item = described("NTHWC", mean=(0.45,) * 3, std=(0.225,) * 3)
    nodes = [
        ("Tile", ["x", "times"], ["large"], {}),
        ("Add", ["large", "one"], ["sum"], {}),
        ("Relu", ["sum"], ["y"], {}),
    ]
    weights = [("times", np.array([1, 16, 16, 16, 1])), ("one", np.float32(3))]
    path = graph_model(tmp_path, nodes, ["y"], weights, layout="NTHWC")
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers={"y": 4}, inputs=[item]), provider="cpu")
    feeds = random_feeds([item], 1)
    exact = np.maximum(prepare(feeds, [item])["x"] + np.float32(3), 0).mean((1, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(runner(feeds)["y"], exact, rtol=ROUNDING)
    onnx_file = onnx.load(path)
    onnx_file.graph.node.append(helper.make_node("ReduceMean", ["y", "axes"], ["mean"], keepdims=0))
    onnx_file.graph.initializer.append(numpy_helper.from_array(np.array([1, 2, 3]), "axes"))
    onnx_file.graph.output[0].CopyFrom(helper.make_tensor_value_info("mean", TensorProto.FLOAT, None))
    (in_one_pass,) = values_of(onnx_file, x=prepare(feeds, [item])["x"])
    assert np.abs(in_one_pass / exact - 1).max() > 10 * ROUNDING


@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceSum"])
def test_a_large_sum_of_a_model_becomes_exact(kind):
    shape = (1, 32, 128, 128, 3)
    model = model_of([(kind, ["x", "axes"], ["y"], {"keepdims": 0})], [("axes", np.array([1, 2, 3]))], shape=shape)
    x = video(shape)
    exact = getattr(np, kind.removeprefix("Reduce").lower())(x, (1, 2, 3), dtype=np.float64)
    (before,), (after,) = values_of(model, x=x), values_of(split(model), x=x)
    np.testing.assert_allclose(after, exact, rtol=ROUNDING)
    assert np.abs(before / exact - 1).max() > 10 * ROUNDING


@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceSum"])
@pytest.mark.parametrize("opset", [11, 13, 17, 18, 20])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[1, 2], [3, 1], [-1, -3], [0, -2, 3], [0, 1, 2, 3]])
def test_one_node_for_each_axis(kind, opset, keepdims, axes):
    model = sum_of(kind, axes, opset, keepdims=keepdims)
    after = split(model)
    assert summed(after) == [1] * len(axes)
    x = video(SHAPE)
    (before,), (found,) = values_of(model, x=x), values_of(after, x=x)
    exact = getattr(np, kind.removeprefix("Reduce").lower())(x, tuple(axes), np.float64, keepdims=bool(keepdims))
    assert found.shape == before.shape
    np.testing.assert_allclose(found, before, rtol=ROUNDING)
    np.testing.assert_allclose(found, exact, rtol=ROUNDING)


def test_the_axes_stay_by_default():
    (found,) = values_of(split(sum_of("ReduceMean", [1, 3], 18)), x=video(SHAPE))
    assert found.shape == (2, 1, 4, 1)


def test_names_and_outputs_stay():
    model = sum_of("ReduceMean", [1, 2], 18, keepdims=0)
    model.graph.node[0].name = "pool"
    after = split(model)
    assert [output.name for output in after.graph.output] == ["y"]
    assert (after.graph.node[-1].name, list(after.graph.node[-1].output)) == ("pool", ["y"])
    assert "axes" not in [tensor.name for tensor in after.graph.initializer]


def test_axes_in_a_constant_node():
    value = numpy_helper.from_array(np.array([1, 2]))
    nodes = [("Constant", [], ["axes"], {"value": value}), ("ReduceMean", ["x", "axes"], ["y"], {"keepdims": 0})]
    model = model_of(nodes)
    after = split(model)
    assert summed(after) == [1, 1]
    np.testing.assert_allclose(values_of(after, x=video(SHAPE)), values_of(model, x=video(SHAPE)), rtol=ROUNDING)


@pytest.mark.parametrize("reader", [None, "sum", "output"])
def test_axes_that_several_nodes_share(reader):
    """The constant goes with its last reader."""
    nodes = [("ReduceMean", ["x", "axes"], ["mean"], {}), ("ReduceSum", ["mean", "axes"], ["y"], {"keepdims": 0})]
    outputs = ["y"]
    if reader == "sum":
        nodes.append(("Squeeze", ["mean", "axes"], ["squeezed"], {}))
        outputs.append("squeezed")
    model = model_of(nodes, [("axes", np.array([1, 2]))], outputs=outputs)
    if reader == "output":
        model.graph.output.append(helper.make_tensor_value_info("axes", TensorProto.INT64, [2]))
    after = split(model)
    assert summed(after) == [1] * 4
    assert ("axes" in [tensor.name for tensor in after.graph.initializer]) == (reader is not None)
    for found, before in zip(values_of(after, x=video(SHAPE)), values_of(model, x=video(SHAPE)), strict=True):
        np.testing.assert_allclose(found, before, rtol=ROUNDING)


def test_axes_that_a_sub_graph_reads_stay():
    """The sum of the graph is taken one axis after the other; the one within a branch, with the same axes, is not."""
    value = helper.make_tensor_value_info("picked", TensorProto.FLOAT, None)
    branches = [
        helper.make_graph([helper.make_node(kind, ["x", "axes"], ["picked"])], kind, [], [value])
        for kind in AXES_ARE_AN_INPUT
    ]
    choice = dict(zip(("then_branch", "else_branch"), branches, strict=True))
    nodes = [("ReduceMean", ["x", "axes"], ["y"], {}), ("If", ["yes"], ["z"], choice)]
    model = model_of(nodes, [("axes", np.array([1, 2])), ("yes", np.array(True))], outputs=["y", "z"])
    after = split(model)
    assert summed(after) == [1, 1]
    assert after.graph.node[-1] == model.graph.node[-1]
    for found, before in zip(values_of(after, x=video(SHAPE)), values_of(model, x=video(SHAPE)), strict=True):
        np.testing.assert_allclose(found, before, rtol=ROUNDING)


AXES = helper.make_tensor_value_info("axes", TensorProto.INT64, [2])
EMPTY = [("axes", np.array([], np.int64))]


@pytest.mark.parametrize(
    "model",
    [
        model_of([("ReduceMean", ["x", "axes"], ["y"], {})], inputs=[AXES]),
        model_of([("ReduceMean", ["x", "axes"], ["y"], {})], [("axes", np.array([1, 2]))], shape=None),
        model_of([("ReduceMean", ["x"], ["y"], {})]),
        model_of([("ReduceMean", ["x", ""], ["y"], {})]),
        model_of([("ReduceMean", ["x"], ["y"], {})], opset=17),
        model_of([("ReduceMean", ["x", "axes"], ["y"], {})], EMPTY),
        model_of([("ReduceMean", ["x", "axes"], ["y"], {"noop_with_empty_axes": 1})], EMPTY),
        model_of([("ReduceSum", ["x"], ["y"], {"noop_with_empty_axes": 1})]),
        model_of([("ReduceMean", ["x", "axes"], ["y"], {})], [("axes", np.array([-1]))]),
        model_of([("ReduceMax", ["x", "axes"], ["y"], {})], [("axes", np.array([1, 2]))]),
        model_of([("Relu", ["x"], ["y"], {})]),
    ],
    ids=(
        "computed",
        "unknown",
        "all",
        "left out",
        "all by attribute",
        "empty",
        "nothing",
        "nothing left out",
        "one",
        "max",
        "none",
    ),
)
def test_what_stays(model):
    assert split(model) == model


def test_means_of_whole_numbers_stay_and_their_sums_do_not():
    """The mean of 1, 2, 2 and 3 is 2; by way of 1 and 2, each rounded down, it would be 1."""
    x = np.array([[[1, 2], [2, 3]]], np.int32)
    nodes = [("ReduceMean", ["x", "axes"], ["y"], {}), ("ReduceSum", ["x", "axes"], ["z"], {})]
    model = model_of(nodes, [("axes", np.array([1, 2]))], shape=x.shape, dtype=TensorProto.INT32, outputs=["y", "z"])
    after = split(model)
    assert summed(after) == [2, 1, 1]
    assert [value.item() for value in values_of(after, x=x)] == [2, 8]


def test_means_of_weights_are_split():
    model = model_of([("ReduceMean", ["w", "axes"], ["m"], {}), ("Add", ["x", "m"], ["y"], {})], [
        ("w", video(SHAPE)), ("axes", np.array([2, 3]))
    ])  # fmt: skip
    assert summed(split(model)) == [1, 1]


def test_other_options_of_a_sum_do_not_matter():
    """Axes that are given leave `noop_with_empty_axes` without a meaning."""
    model = sum_of("ReduceSum", [1, 2], 18, noop_with_empty_axes=1)
    np.testing.assert_allclose(values_of(split(model), x=video(SHAPE)), values_of(model, x=video(SHAPE)), rtol=ROUNDING)


class Mean(torch.nn.Module):
    """Pools as many models do, and keeps the channels, which are last."""

    def __init__(self):
        super().__init__()
        self.act = torch.nn.ReLU()

    def forward(self, x):
        y = self.act(x)
        return y.mean((1, 2, 3)) + y.sum((1, 3)).amax(1)


def test_an_export_has_no_mean_over_several_axes(tmp_path):
    item = described("NTHWC")
    path = export(Mean(), [item], {"act": 4}, tmp_path / "model.onnx")
    assert summed(onnx.load(path)) == [1] * 5
