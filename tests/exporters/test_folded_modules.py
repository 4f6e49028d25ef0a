"""Torch modules whose batch holds the frames of all clips: exported, probed and run live, to the same units."""

import numpy as np
import pytest
import torch
from torch import nn

from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.torch import TorchRunner

FRAMES, SIZE = 4, 16
VIDEO = ModelInput("video", frames=FRAMES, stride=1, size=(SIZE, SIZE), layout="NT,C,H,W", colours="bgr")


class Segments(nn.Module):
    """A consensus over frames; the middle layer sees the frame before, as TSM's do."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, 2, 1)
        self.second = nn.Conv2d(6, 8, 3, 2, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, frames):
        x = torch.relu(self.first(frames))
        clips = x.reshape(-1, FRAMES, *x.shape[1:])
        before = torch.cat([torch.zeros_like(clips[:, :1, :3]), clips[:, :-1, :3]], 1)
        x = torch.cat([before, clips[:, :, 3:]], 2).reshape(x.shape)
        x = torch.relu(self.second(x)).mean((2, 3))
        return self.head(x).reshape(-1, FRAMES, 5).mean(1)


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(1)
    return Segments().eval()


def test_export_probe_and_live_module_agree(module, tmp_path):
    path = export(module, [VIDEO], ["first", "second", "head"], tmp_path / "model.onnx")
    layers = read_metadata(path).layers
    assert [(layer.fold, layer.batch_axis, layer.channel_axis) for layer in layers] == [("batch-major", 0, 1)] * 3
    runner = OnnxRunner(build_probe(path, tmp_path / "probe.onnx", masks=True), provider="cpu")
    live = TorchRunner(module, [VIDEO], ["first", "second", "head"])
    feeds = random_feeds([VIDEO], 3)
    with torch.no_grad():
        frames = torch.from_numpy(prepare(feeds, [VIDEO])["video"])
        assert frames.shape == (3 * FRAMES, 3, SIZE, SIZE)
        first = module.first(frames).reshape(3, FRAMES, 6, -1).mean((1, 3)).numpy()
        logits = module(frames).numpy()
    np.testing.assert_allclose(runner(feeds)["first"], first, rtol=1e-4, atol=1e-5)
    for name, units in runner(feeds).items():
        np.testing.assert_allclose(live(feeds)[name], units, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(runner.run(feeds)["output"], logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(live.run(feeds)["output"], logits, rtol=1e-4, atol=1e-5)


def test_a_module_of_one_clip_is_an_error():
    one = ModelInput("video", frames=FRAMES, stride=1, size=(SIZE, SIZE), layout="TCHW")
    with pytest.raises(InputError, match="the layout 'TCHW' has no axis for several clips"):
        TorchRunner(nn.Sequential(nn.Conv2d(3, 4, 1)), [one], ["0"])
