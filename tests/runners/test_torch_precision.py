"""A live module computes in the precision that its identity names, and dead units are judged by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.protocols import rounding_of
from sdmetrics.runners.torch import TorchRunner
from tests.helpers.fakes import NumpyRunner, noise_clip
from tests.runners.test_runners import GOOD, VIDEO


def switches():
    from torch.backends import cuda, cudnn, mkldnn

    holders = (cudnn.conv, cudnn.rnn, cuda.matmul, mkldnn.conv, mkldnn.matmul, mkldnn.rnn)
    return [holder.fp32_precision for holder in holders]


@pytest.mark.parametrize("trained_with", ["highest", "high", "medium"])
def test_float32_is_not_rounded_whatever_the_training_allows(trained_with):
    seen = []
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU())
    model[0].register_forward_pre_hook(lambda *_: seen.append(switches()))
    torch.set_float32_matmul_precision(trained_with)
    try:
        before = switches()
        TorchRunner(model, [VIDEO], ["1"])(GOOD)
        assert switches() == before
        assert torch.get_float32_matmul_precision() == trained_with
    finally:
        torch.set_float32_matmul_precision("highest")
    assert all(inside == ["ieee"] * 6 for inside in seen)
    assert len(seen) > 1


class Autocasting(nn.Module):
    """Converts inside, where only its layer shows it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 1)

    def forward(self, video):
        with torch.autocast("cpu", torch.bfloat16):
            return self.conv(video)


def test_the_precision_is_the_coarsest_of_weights_layers_and_autocast():
    plain = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU())
    half = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU()).bfloat16()
    for module, layer, expected in (
        (plain, "1", "float32"),
        (half, "1", "bfloat16"),
        (Autocasting(), "conv", "bfloat16"),
    ):
        assert TorchRunner(module, [VIDEO], [layer]).identity["precision"] == expected
    double = TorchRunner(nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU()).double(), [VIDEO], ["1"])
    assert (double.identity["precision"], rounding_of(double)) == ("float64", 0)
    with torch.autocast("cpu", torch.bfloat16):
        inside = TorchRunner(plain, [VIDEO], ["1"])
    assert inside.identity["precision"] == "bfloat16"
    assert rounding_of(inside) == torch.finfo(torch.bfloat16).eps


def test_a_runner_computes_as_it_was_made_whatever_surrounds_the_call():
    module = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU())
    outside = TorchRunner(module, [VIDEO], ["1"])
    with torch.autocast("cpu", torch.bfloat16):
        inside = TorchRunner(module, [VIDEO], ["1"])
        of_outside = outside(GOOD)["1"]
    assert np.array_equal(of_outside, outside(GOOD)["1"])
    assert not np.array_equal(of_outside, inside(GOOD)["1"])
    assert np.allclose(of_outside, inside(GOOD)["1"], atol=0.02)


def barely(frames):
    """Return a unit that changes by what float16 rounds off, and one that changes by more."""
    mean = frames.mean(axis=(1, 2, 3, 4), dtype=np.float64)
    return np.stack([1 + 1e-6 * mean, 1 + mean], axis=1)


@pytest.mark.parametrize(
    ("identity", "dead"),
    [
        ({"precision": "float32"}, 0),
        ({"precision": "float16"}, 1),
        ({"precision": "bfloat16"}, 1),
        ({"precision": "float32", "tf32": True}, 1),
        ({"precision": "unknown", "tf32": False}, 0),
        ({}, 0),
    ],
)
def test_a_unit_that_only_rounding_moves_is_dead(identity, dead, tmp_path):
    runner = NumpyRunner({"layer": barely})
    runner.identity = identity
    clips = [noise_clip(seed) for seed in range(12)]
    results = measure_biases(runner, clips, out=tmp_path, progress=False)
    assert results.layers[0]["counts"]["dead"] == dead
    assert [row["static"] is None for row in results.units] == [bool(dead), False]
    runner.batches.clear()
    again = measure_biases(runner, clips, out=tmp_path, progress=False)
    assert runner.batches == [], "the parts that were stored know their precision"
    assert again.layers == results.layers


class Offset(nn.Module):
    """A unit of a large mean that hardly changes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 2, 1)
        with torch.no_grad():
            self.conv.weight[0].fill_(1e-5)
            self.conv.bias.copy_(torch.tensor([1.0, 0.0]))

    def forward(self, video):
        return self.conv(video).mean((2, 3, 4))


def test_a_probe_in_half_precision_is_judged_as_such(tmp_path):
    from sdmetrics.exporters.torch import export
    from sdmetrics.loading.open import open_model

    torch.manual_seed(0)
    video = ModelInput("video", frames=6, stride=1, size=(16, 16))
    export(Offset().eval(), [video], ["conv"], tmp_path / "model.onnx")
    clips = [noise_clip(seed) for seed in range(12)]
    for half, dead in ((False, 0), (True, 1)):
        runner = open_model(tmp_path / "model.onnx", provider="cpu", threads=1, half=half)
        results = measure_biases(runner, clips, progress=False)
        assert results.layers[0]["counts"]["dead"] == dead, half
