"""A torch module that reads one number of clips only is exported for that number, and run so many clips at a time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.runners.onnxruntime import OnnxRunner

VIDEO = ModelInput("video", frames=4, size=(8, 8))
FRAMES = ModelInput("video", frames=4, size=(8, 8), layout="NT,C,H,W")


class Baked(nn.Module):
    """Reshapes features to `clips` rows, whatever it reads."""

    def __init__(self, clips: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.clips = clips
        self.features = nn.Conv3d(3, 4, 3)
        self.scores = nn.Linear(4 * 2 * 6 * 6, 5)

    def forward(self, video: Tensor) -> Tensor:
        scores: Tensor = self.scores(torch.relu(self.features(video)).reshape(self.clips, -1))
        return scores


class Averaged(nn.Module):
    """Reads the frames of `clips` clips as one batch, and averages the scores of each clip's frames."""

    def __init__(self, clips: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.clips = clips
        self.features = nn.Conv2d(3, 4, 3)
        self.scores = nn.Linear(4, 5)

    def forward(self, frames: Tensor) -> Tensor:
        scores: Tensor = self.scores(self.features(frames).mean((2, 3)))
        return scores.reshape(self.clips, 4, 5).mean(1)


class Looped(nn.Module):
    """Counts its clips in Python, so that the exporter sees a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv3d(3, 4, 3)

    def forward(self, video: Tensor) -> Tensor:
        return torch.stack([clip.mean((1, 2, 3)) for clip in self.features(video)])


@pytest.mark.parametrize(
    ("kind", "video", "clips"), [(Baked, VIDEO, 1), (Baked, VIDEO, 2), (Averaged, FRAMES, 1), (Averaged, FRAMES, 2)]
)
def test_a_baked_batch_is_run_so_many_clips_at_a_time(
    kind: type[Baked | Averaged], video: ModelInput, clips: int, tmp_path: Path
) -> None:
    module = kind(clips).eval()
    path = export(module, [video], ["features"], tmp_path / "model.onnx", batch=clips)
    metadata = read_metadata(path)
    assert metadata is not None
    assert metadata.export_error < 1e-5
    with pytest.warns(Note, match=rf"runs {clips} clip\(s\) at a time"):
        probe = build_probe(path, tmp_path / "probe.onnx", masks=True)
    feeds = random_feeds([video], 5)
    units = OnnxRunner(probe, provider="cpu")(feeds)["features"]
    with torch.no_grad():
        features = module.features(torch.from_numpy(prepare(feeds, [video])["video"]))
    expected = features.flatten(2).mean(2).reshape(5, -1, 4).mean(1)
    np.testing.assert_allclose(units, expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("clips", [1, 2])
def test_a_baked_batch_is_named(clips: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"Baked reads {clips} clip\(s\) at once, and not 3; export .* batch={clips}"):
        export(Baked(clips), [VIDEO], ["features"], tmp_path / "model.onnx")


def test_clips_that_are_counted_in_python_are_exported_one_by_one(tmp_path: Path) -> None:
    module = Looped().eval()
    with pytest.raises(InputError, match="export a torch module with batch=1"):
        export(module, [VIDEO], ["features"], tmp_path / "model.onnx")
    path = export(module, [VIDEO], ["features"], tmp_path / "model.onnx", batch=1)
    metadata = read_metadata(path)
    assert metadata is not None
    assert metadata.layers[0].shape == (1, 4, 2, 6, 6)


def test_another_batch_than_the_modules_own_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Baked fails in its forward"):
        export(Baked(2), [VIDEO], ["features"], tmp_path / "model.onnx", batch=1)


@pytest.mark.parametrize("batch", [0, 1.5, True, "1"])
def test_a_batch_that_is_no_number_of_clips_is_an_error(batch: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"batch is {batch!r}; expected .*at least 1"):
        export(Baked(2), [VIDEO], ["features"], tmp_path / "model.onnx", batch=batch)
