"""Probes of unusual graphs, and builds that fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sdmetrics.errors import InputError
from sdmetrics.exporters._assembly.assemble import assemble
from sdmetrics.exporters.layers import list_layers
from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.runners.onnxruntime import OnnxRunner
from tests.helpers.graphs import RELU, TWO, TWO_W, graph_model


def test_a_failed_build_leaves_the_older_probe_alone(tmp_path):
    path = graph_model(tmp_path, TWO, ["z"], TWO_W)
    probe = build_probe(path, tmp_path / "p.onnx", layers=["c"])
    before = probe.read_bytes()
    with pytest.raises(InputError):
        build_probe(path, probe, layers={"c": 0})
    assert probe.read_bytes() == before
    assert sorted(item.name for item in Path(tmp_path).iterdir()) == ["model.onnx", "p.onnx"]


def test_a_subgraph_reads_the_models_input(tmp_path):
    value = helper.make_tensor_value_info("picked", TensorProto.FLOAT, None)
    branches = [
        helper.make_graph([helper.make_node(kind, ["x"], ["picked"])], kind, [], [value]) for kind in ("Neg", "Abs")
    ]
    nodes = [*RELU, ("If", ["yes"], ["z"], {"then_branch": branches[0], "else_branch": branches[1]})]
    path = graph_model(tmp_path, nodes, ["y", "z"], [("yes", np.array(True))])
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=["y"]))
    feeds = random_feeds(runner.inputs, 2)
    np.testing.assert_allclose(runner.run(feeds)["z"], -prepare(feeds, runner.inputs)["x"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("clips", "message"),
    [(5, "units/c of the probe differs from the model's"), (2, "units/c of a clip changes by .* with the other clips")],
)
def test_a_wrong_probe_is_found(tmp_path, monkeypatch, clips, message):
    def wrong(model, metadata):
        # Adds what is zero for a batch of `clips` clips.
        probe = assemble(model, metadata)
        node = next(node for node in probe.graph.node if node.output[0] == "units/c")
        node.output[0] = "right"
        probe.graph.initializer.append(numpy_helper.from_array(np.array([clips]), "clips"))
        probe.graph.node.extend(
            helper.make_node(kind, reads, [writes], **attributes)
            for kind, reads, writes, attributes in [
                ("Shape", ["rgb"], "shape", {"start": 0, "end": 1}),
                ("Sub", ["shape", "clips"], "excess", {}),
                ("Cast", ["excess"], "number", {"to": TensorProto.FLOAT}),
                ("Add", ["right", "number"], "units/c", {}),
            ]
        )
        return probe

    monkeypatch.setattr("sdmetrics.exporters.probe.assemble", wrong)
    path = graph_model(tmp_path, TWO, ["z"], TWO_W)
    with pytest.raises(InputError, match=message):
        build_probe(path, tmp_path / "p.onnx", layers=["c"])
    assert not (tmp_path / "p.onnx").exists()


def test_nodes_may_lie_in_any_order_but_no_circle(tmp_path):
    path = graph_model(tmp_path, TWO[::-1], ["z"], TWO_W)
    assert [layer.name for layer in list_layers(path)] == ["c", "y"]
    build_probe(path, tmp_path / "p.onnx", layers=["c"])
    circle = [("Add", ["x", "b"], ["a"], {}), ("Relu", ["a"], ["b"], {})]
    with pytest.raises(InputError, match=r"is not valid ONNX: .*cycle"):
        list_layers(graph_model(tmp_path, circle, ["b"]))


def test_functions_are_spelt_out(tmp_path):
    path = graph_model(tmp_path, [*TWO[:1], ("Twice", ["c"], ["y"], {"domain": "own"})], ["y"], TWO_W)
    model = onnx.load(path)
    nodes = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Add", ["b", "b"], ["out"])]
    model.functions.append(helper.make_function("own", "Twice", ["a"], ["out"], nodes, [helper.make_opsetid("", 18)]))
    model.opset_import.append(helper.make_opsetid("own", 1))
    onnx.save(model, path)
    names = [layer.name for layer in list_layers(path)]
    assert len(names) == 2
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=names))
    feeds = random_feeds(runner.inputs, 2)
    np.testing.assert_allclose(2 * runner(feeds)[names[1]], runner.run(feeds)["y"].mean((2, 3, 4)), rtol=1e-5)
