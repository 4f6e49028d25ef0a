"""Flow as two-stream networks read it, clipped and scaled: in the probe, in torch and in NumPy, to the right values."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from sdmetrics.cli.input_option import VIDEO, parse_inputs
from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe, describe_feeding
from sdmetrics.probes.feeds import prepare
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.torch import TorchRunner

SIZE = 8
PIXELS = np.array([-35.0, -20.0, -10.0, 0.0, 5.0, 20.0, 21.0, 400.0], np.float32)


def echo(path, shape):
    """Write a model that returns what it is fed."""
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Identity", ["flow"], ["y"])]
    ends = [value(name, TensorProto.FLOAT, shape) for name in ("flow", "y")]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    path.write_bytes(model.SerializeToString())
    return path


def vectors():
    """One clip of eight frames; each frame has one flow in pixels to the right, and half of it down."""
    flow = np.stack([PIXELS, PIXELS / 2], -1)[None, :, None, None, :]
    return np.ascontiguousarray(np.broadcast_to(flow, (1, len(PIXELS), SIZE, SIZE, 2)))


CASES = {
    "source=flow_vectors": lambda x: x,
    "source=flow_vectors limit=20": lambda x: np.clip(x, -20, 20) / 20,
    "source=flow_vectors mean=1,2 std=4,5": lambda x: (x - [1, 2]) / [4, 5],
    "source=flow_vectors mean=1 2 std=4 5": lambda x: (x - [1, 2]) / [4, 5],
    "source=flow_vectors limit=20 mean=0.5,0 std=0.25,2": lambda x: (np.clip(x, -20, 20) / 20 - [0.5, 0]) / [0.25, 2],
}


@pytest.mark.parametrize("settings", CASES)
def test_vectors_are_fed_as_specified(tmp_path, settings):
    path = echo(tmp_path / "model.onnx", ["n", 2, len(PIXELS), SIZE, SIZE])
    inputs = describe_feeding(path, parse_inputs([f"flow {settings}"]))
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=[], inputs=inputs), provider="cpu")
    order = np.arange(len(PIXELS))[None, ::-1].copy()
    feeds = {"flow_vectors": vectors(), "flow/order": order}
    expected = CASES[settings](vectors()[:, ::-1].astype(np.float64)).transpose(0, 4, 1, 2, 3)
    module = TorchRunner(nn.Sequential(nn.Identity()), inputs, ["0"])
    for found in (
        runner.run(feeds)["y"],
        module.run(feeds)["output"],
        prepare(feeds, inputs)["flow"],
        torch.from_numpy(prepare(feeds, read_metadata(tmp_path / "p.onnx").inputs)["flow"]).numpy(),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_stacked_vectors(tmp_path):
    """Ten fields are twenty channels: right, down, right, down, …, in the order of the frames."""
    path = echo(tmp_path / "model.onnx", ["n", 2 * len(PIXELS), SIZE, SIZE])
    inputs = describe_feeding(path, parse_inputs(["flow source=flow_vectors layout=N,TC,H,W limit=20"]))
    assert inputs[0].frames == len(PIXELS)
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=[], inputs=inputs), provider="cpu")
    found = runner.run({"flow_vectors": vectors(), "flow/order": np.arange(len(PIXELS))[None]})["y"][0, :, 0, 0]
    right, down = np.clip(PIXELS, -20, 20) / 20, np.clip(PIXELS / 2, -20, 20) / 20
    np.testing.assert_allclose(found, np.stack([right, down], -1).ravel(), rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            "source=flow_vectors mean=0,0,0",
            r"has the mean \(0\.0, 0\.0, 0\.0\); expected 2 numbers, one per channel of flow_",
        ),
        ("source=flow_vectors colours=bgr", "flow vectors have no colours"),
        (
            "source=flow limit=20 layout=NCTHW frames=8 size=8,8",
            "a limit is a number of pixels above 0, for flow_vectors",
        ),
        ("source=flow_vectors limit=0", "a limit is a number of pixels above 0"),
        ("source=flow_vectors limit=nan", "a limit is a number of pixels above 0"),
        ("source=flow_vectors std=1,0", "each must be above 0"),
        ("source=flow_vectors mean=inf,0", "expected finite numbers"),
    ],
)
def test_what_cannot_be_applied_is_an_error(tmp_path, settings, reason):
    path = echo(tmp_path / "model.onnx", ["n", 2, len(PIXELS), SIZE, SIZE])
    with pytest.raises(InputError, match=reason):
        describe_feeding(path, parse_inputs([f"flow {settings}"]))


def test_every_field_is_applied():
    """Each field of the option is a field of the description, so none is accepted and dropped."""
    texts = {
        "source": "flow_vectors", "layout": "NTHWC", "frames": "3", "stride": "2", "size": "6,7", "mean": "1,2",
        "std": "3,4", "limit": "20", "resize": "9,11", "fps": "12.5",
    }  # fmt: skip
    assert {*texts, "colours", "sampling"} == set(VIDEO)  # flow vectors have no colours; a rate needs a window
    described = ModelInput("x", **parse_inputs(["x " + " ".join(f"{k}={v}" for k, v in texts.items())])["x"])
    assert described == ModelInput(
        "x", "flow_vectors", 3, 2, (6, 7), "NTHWC", (1, 2), (3, 4), "rgb", 20, (9, 11), "window", 12.5
    )
    spread = ModelInput("y", colours="bgr", sampling="spread")
    assert ModelInput("y", **parse_inputs(["y colours=bgr sampling=spread"])["y"]) == spread
    assert ModelInput("x", **parse_inputs(["x colours=bgr"])["x"]).colours == "bgr"
