"""Accuracy of real models: both runners agree, and the known answer is found."""

from __future__ import annotations

import math

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.clips import Clip
from sdmetrics.clips.generated.world import APPEARANCES, MOTIONS, world_clips
from sdmetrics.clips.views import clip_generator
from sdmetrics.demo import demo_model
from sdmetrics.errors import InputError
from sdmetrics.evaluation.classification import evaluate
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.loading.open import open_model
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.torch import TorchRunner
from tests.evaluation.test_classification import values


class Slopes(nn.Module):
    """A small network that sees the order of frames."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 7, (3, 1, 1))
        self.head = nn.Linear(7, 6)

    def forward(self, video):
        return self.head(torch.relu(self.conv(video)).mean((2, 3, 4)))


def test_the_runners_of_torch_and_onnx_agree(tmp_path):
    torch.manual_seed(0)
    module = Slopes().eval()
    inputs = [ModelInput("video", frames=8, stride=1, size=(16, 16))]
    export(module, inputs, ["conv"], tmp_path / "model.onnx")
    build_probe(tmp_path / "model.onnx", tmp_path / "probe.onnx")
    clips = [Clip(c.id, c.load, label=str(k % 6)) for k, c in enumerate(world_clips(24, size=16))]
    found = [
        evaluate(runner, clips, shuffle=True, batch=5)
        for runner in (
            TorchRunner(module, inputs, ["conv"]),
            OnnxRunner(tmp_path / "probe.onnx", provider="cpu", threads=1),
            open_model(tmp_path / "model.onnx", layers=(), provider="cpu", threads=1),
        )
    ]
    assert found[0].clips == found[1].clips == found[2].clips
    assert 0 < values(found[0], "in_order")[0] < 1


@pytest.mark.parametrize("half", [False, True])
def test_a_probe_without_layers_gives_the_outputs_alone(half):
    with demo_model("motion") as path:
        bare = open_model(path, layers=[], provider="cpu", threads=1, half=half)
        full = open_model(path, provider="cpu", threads=1, half=half)
    feeds = {
        "rgb": np.random.default_rng(0).integers(0, 256, (2, 8, 40, 40, 3), np.uint8),
        "video/order": np.tile(np.arange(8), (2, 1)),
    }
    assert bare.layers == []
    assert bare(feeds) == {}
    with pytest.raises(InputError, match="opened without layers"):
        measure_biases(bare, world_clips(2))
    np.testing.assert_allclose(bare.run(feeds)["output"], full.run(feeds)["output"], rtol=1e-5, atol=1e-5)


def by_hand(name, classes, clips, seed):
    """Return for each clip whether a shipped model is right in order and shuffled: fed without this package."""
    with demo_model(name) as path:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    right = []
    for clip in clips:
        frames, rng = clip.frames, clip_generator(seed, clip.id)
        order = rng.permutation(len(frames))
        while all(np.array_equal(frames[i], frame) for i, frame in zip(order, frames, strict=True)):
            order = rng.permutation(len(frames))
        batch = np.stack([frames, frames[order]]).astype(np.float32) / 255
        batch = ((batch - 0.45) / 0.225).astype(np.float32).transpose(0, 4, 1, 2, 3)
        (outputs,) = session.run(["output"], {"video": batch})
        right.append([classes[guess] in clip.label.split("/") for guess in outputs.argmax(axis=1)])
    return np.array(right)


def test_the_known_answer():
    clips, found = world_clips(60), {}
    for name, classes in (("motion", MOTIONS), ("appearance", APPEARANCES)):
        with demo_model(name) as path:
            runner = open_model(path, layers=(), provider="cpu", threads=1)
        found[name] = evaluate(runner, clips, {c: k for k, c in enumerate(classes)}, shuffle=True, batch=20)
        expected = by_hand(name, classes, clips, seed=0)
        shown = [[row["in_order"]["top1"], row["shuffled"]["top1"]] for row in found[name].clips]
        assert shown == expected.tolist()
        in_order, shuffled = expected.mean(axis=0)
        assert values(found[name], "in_order")[0] == pytest.approx(in_order)
        assert found[name].scores["ratio"]["top1"]["value"] == pytest.approx(shuffled / in_order)
        assert in_order > 0.95
    # Frames without their order tell what moves, not which way: of the eight motions, half can be told at best.
    motion, appearance = (found[name].scores["ratio"]["top1"] for name in ("motion", "appearance"))
    assert motion["value"] < 0.5
    assert appearance["value"] > 0.8
    assert motion["ci95"][1] < appearance["ci95"][0]
    assert not math.isclose(motion["ci95"][0], motion["ci95"][1])
