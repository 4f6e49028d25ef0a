"""A model that reads one clip at two rates, as SlowFast does: each input has frames and an order of its own."""

import numpy as np
import pytest
import torch
from torch import nn

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.torch import TorchRunner
from tests.helpers.fakes import noise_clip

SLOW = ModelInput("slow", frames=2, stride=4, size=(16, 16))
FAST = ModelInput("fast", frames=8, stride=1, size=(16, 16))
CLIPS = [noise_clip(i, frames=8) for i in range(24)]


class TwoPathways(nn.Module):
    def __init__(self):
        super().__init__()
        self.slow_path = nn.Conv3d(3, 8, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.fast_path = nn.Conv3d(3, 4, (3, 3, 3), (1, 2, 2), 1)
        self.head = nn.Linear(12, 5)

    def forward(self, slow, fast):
        pooled = [torch.relu(path).mean((2, 3, 4)) for path in (self.slow_path(slow), self.fast_path(fast))]
        return self.head(torch.cat(pooled, 1))


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return TwoPathways()


@pytest.fixture(scope="module")
def runner(module, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    model = export(module, [SLOW, FAST], ["slow_path", "fast_path"], folder / "model.onnx")
    return OnnxRunner(build_probe(model, folder / "probe.onnx", masks=True), provider="cpu")


def test_both_inputs_read_one_source(runner):
    assert [i.name for i in runner.inputs] == ["slow", "fast"]
    rng = np.random.default_rng(0)
    feeds = {
        "rgb": rng.integers(0, 256, (3, 8, 16, 16, 3), dtype=np.uint8),
        "slow/order": np.array([[0, 7], [7, 0], [3, 4]]),
        "fast/order": np.stack([rng.permutation(8) for _ in range(3)]),
    }
    units = runner(feeds)
    other = runner({**feeds, "slow/order": feeds["slow/order"] // 2})
    assert not np.allclose(units["slow_path"], other["slow_path"])
    assert np.array_equal(units["fast_path"], other["fast_path"])


def test_an_analysis_agrees_with_the_module_by_hooks(module, runner):
    hooked = TorchRunner(module, [SLOW, FAST], ["slow_path", "fast_path"])
    one, two = (measure_biases(r, CLIPS, progress=False) for r in (runner, hooked))
    assert [row["name"] for row in one.layers] == ["slow_path", "fast_path"]
    for a, b in zip(one.units, two.units, strict=True):
        assert a["label"] == b["label"]
        for factor in ("dynamic", "static"):
            assert a[factor] == pytest.approx(b[factor], abs=1e-5)


def test_the_pathway_without_extent_in_time_is_static(runner):
    """Shuffling cannot change what a frame-wise pathway sees, save in which frames it samples: none here."""
    row = measure_biases(runner, CLIPS, progress=False).layer("slow_path")
    assert row["scores"]["static"] == pytest.approx(1, abs=1e-6)
