"""Parts of a model that run once for every frame are one layer, with the frames folded into the batch."""

import numpy as np
import pytest
import torch
from torch import nn

from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.torch import TorchRunner
from tests.helpers.torch_models import seeded, video_input

VIDEO = video_input("NTCHW")


class Recurrent(nn.Module):
    """Carries a state from frame to frame, as online segmenters and recurrent networks do."""

    def __init__(self, declared=True):
        super().__init__()
        self.read = nn.Conv2d(3, 6, 8, 8)
        self.step = nn.Sequential(nn.Conv2d(12, 6, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(6, 5)
        if declared:
            self.runs_per_frame = ["step"]

    def forward(self, video):
        state = torch.zeros_like(self.read(video[:, 0]))
        for frame in range(video.shape[1]):
            state = self.step(torch.cat([self.read(video[:, frame]), state], 1))
        return self.head(state.mean((2, 3)))

    def states(self, video, mask):
        """Every frame's state, where each was multiplied by `mask` before anything read it."""
        state, found = torch.zeros(len(video), 6, 4, 4), []
        for frame in range(video.shape[1]):
            found.append(self.step(torch.cat([self.read(video[:, frame]), state], 1)))
            state = found[-1] * mask[:, None, None]
        return torch.stack(found, 1), self.head(state.mean((2, 3)))


@pytest.fixture(scope="module")
def runners(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("recurrent"), seeded(Recurrent).eval()
    export(model, [VIDEO], ["step"], folder / "model.onnx")
    probe = build_probe(folder / "model.onnx", folder / "probe.onnx", masks=True)
    (layer,) = read_metadata(folder / "model.onnx").layers
    assert (layer.channel_axis, layer.units, layer.fold) == (1, 6, "time-major")
    return model, {"onnx": OnnxRunner(probe), "torch": TorchRunner(model, [VIDEO], ["step"])}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("runner", ["onnx", "torch"])
def test_units_and_masks_are_those_of_every_frame(runners, runner, masked):
    model, made = runners
    feeds = random_feeds([VIDEO], 3, seed=5)
    mask = np.array([1, 0, 1, 0, 0, 1], np.float32) if masked else np.ones(6, np.float32)
    with torch.no_grad():
        video = torch.from_numpy(prepare(feeds, [VIDEO])["video"])
        states, logits = model.states(video, torch.from_numpy(mask))
    given = {"step": mask} if masked else None
    np.testing.assert_allclose(made[runner](feeds, given)["step"], states.mean((1, 3, 4)), rtol=0, atol=1e-5)
    np.testing.assert_allclose(made[runner].run(feeds, given)["output"], logits, rtol=0, atol=1e-5)


def test_half_precision_knows_such_layers_too(tmp_path):
    export(seeded(Recurrent), [VIDEO], ["step"], tmp_path / "model.onnx")
    probe = OnnxRunner(build_probe(tmp_path / "model.onnx", tmp_path / "probe.onnx", masks=True, half=True))
    feeds, kept = random_feeds([VIDEO], 2), np.array([0, 0, 1, 1, 1, 1], np.float32)
    plain, masked = probe(feeds)["step"], probe(feeds, {"step": kept})["step"]
    assert not np.allclose(plain, masked, rtol=0, atol=1e-3)


def test_a_part_that_runs_several_times_for_another_reason_is_no_layer(tmp_path):
    with pytest.raises(InputError, match=r"'step' runs more than once in a forward"):
        export(seeded(Recurrent, declared=False), [VIDEO], ["step"], tmp_path / "model.onnx")
