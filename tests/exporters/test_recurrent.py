"""Recurrent layers, and layers whose channel axis has to be named: on the command line as in Python."""

import re
import shlex

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from sdmetrics.exporters.layers import list_layers
from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.runners.onnxruntime import OnnxRunner

FRAMES, SIZE, READ, HIDDEN = 4, 16, 3, 5
RNG = np.random.default_rng(3)
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent_model(path, kind, directions, clips_first=False):
    """Write a model that feeds a recurrent layer the mean colour of every frame, `(T, N, 3)`, and joins directions."""
    gates = GATES[kind]
    weights = {
        "w": RNG.normal(size=(directions, gates * HIDDEN, READ)),
        "r": RNG.normal(size=(directions, gates * HIDDEN, HIDDEN)) / 3,
    }
    changes = {"hidden_size": HIDDEN, "direction": "bidirectional" if directions == 2 else "forward"}
    nodes = [
        helper.make_node("ReduceMean", ["video"], ["colours"], axes=[3, 4], keepdims=0),
        helper.make_node("Transpose", ["colours"], ["sequence"], perm=[2, 0, 1]),
        helper.make_node(kind, ["sequence", "w", "r"], ["states", "last"], **changes),
        helper.make_node("Transpose", ["states"], ["ordered"], perm=[2, 0, 1, 3] if clips_first else [0, 2, 1, 3]),
        helper.make_node("Reshape", ["ordered", "joined_shape"], ["joined"]),
        helper.make_node("Relu", ["last"], ["read"]),
    ]
    constants = {name: numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()}
    constants["joined_shape"] = numpy_helper.from_array(np.array([0, 0, directions * HIDDEN]), "joined_shape")
    video = helper.make_tensor_value_info("video", TensorProto.FLOAT, ["n", 3, FRAMES, SIZE, SIZE])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("joined", "read")]
    graph = helper.make_graph(nodes, "g", [video], outputs, list(constants.values()))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize("clips_first", [False, True])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("kind", sorted(GATES))
def test_hidden_units_are_found_and_averaged_over_time(tmp_path, kind, directions, clips_first):
    path = recurrent_model(tmp_path / "model.onnx", kind, directions, clips_first)
    listed = {layer.name: layer for layer in list_layers(path)}
    assert (listed["joined"].channel_axis, listed["joined"].units) == (2, directions * HIDDEN)
    runner = OnnxRunner(build_probe(path, tmp_path / "probe.onnx", layers=["joined"]), provider="cpu")
    feeds = random_feeds(runner.inputs, 3)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (joined,) = session.run(["joined"], prepare(feeds, runner.inputs))
    expected = joined.mean(1 if clips_first else 0)
    assert expected.shape == (3, directions * HIDDEN)
    np.testing.assert_allclose(runner(feeds)["joined"], expected, rtol=1e-5, atol=1e-6)


def test_an_axis_that_is_not_certain_is_named_as_the_error_says(command, tmp_path, monkeypatch):
    """The states of both directions, `(T, 2, N, H)`, hold the channels in two axes."""
    monkeypatch.chdir(tmp_path)
    recurrent_model("model.onnx", "LSTM", 2)
    probe = ("probe", "model.onnx", "-o", "probe.onnx")
    code, _, err = command(*probe, "-l", "states", "-l", "joined")
    assert code == 2
    assert "\n" not in err.rstrip("\n")
    (option,) = re.findall(r"--layer '[^']*'", err)
    assert option == "--layer 'states axis=3'"
    code, _, err = command(*probe, *shlex.split(option), "-l", "joined")
    assert (code, err) == (0, "")
    runner = OnnxRunner(tmp_path / "probe.onnx", provider="cpu")
    feeds = random_feeds(runner.inputs, 2)
    units = runner(feeds)
    np.testing.assert_allclose(units["states"], units["joined"].reshape(2, 2, HIDDEN).mean(1), rtol=1e-5, atol=1e-6)
    code, _, err = command("analyze", "probe.onnx", "world:6", *shlex.split(option))
    assert (code, err) == (0, "")
    code, _, err = command("analyze", "probe.onnx", "world:6", "-l", "states axis=1")
    assert code == 2
    assert "with the channels of layer 'states' in axis 3; for another axis use the model that it was made from" in err


def test_a_wrong_axis_is_one_line(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recurrent_model("model.onnx", "GRU", 1)
    for axis, reason in {
        "7": "axis 7; pass another axis, e.g. --layer 'states axis=3'",
        "two": "expected a whole number",
        "2": "axis",
    }.items():
        code, _, err = command("probe", "model.onnx", "-o", "probe.onnx", "-l", f"states axis={axis}")
        assert code == 2
        assert reason in err
        assert "\n" not in err.rstrip("\n")
