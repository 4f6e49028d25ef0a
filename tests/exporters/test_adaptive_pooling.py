"""Adaptive average pooling, of which torch's exporter knows one part, is exported with its axes."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sdmetrics.exporters._torch.adaptive_pooling import windows
from sdmetrics.exporters.torch import export
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import read_metadata


class Pooling(nn.Module):
    """Pools clips and frames to sizes that divide theirs, that do not, and that are larger."""

    def __init__(self) -> None:
        super().__init__()
        self.clip = nn.Sequential(
            nn.Conv3d(3, 8, 3, padding=1),
            nn.AdaptiveAvgPool3d((None, 5, 6)),
            nn.Conv3d(8, 6, 1),
            nn.AdaptiveAvgPool3d((3, 2, 7)),
            nn.Conv3d(6, 5, 1),
            nn.AdaptiveAvgPool3d((3, 1, 1)),
            nn.Conv3d(5, 4, 1),
        )
        self.frame = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d((4, 7)), nn.Conv2d(8, 6, 1))

    def forward(self, clip: Tensor) -> Tensor:
        frame = functional.adaptive_avg_pool2d(self.frame(clip[:, :, 0]), (2, 3))
        return torch.cat([self.clip(clip).flatten(1), frame.flatten(1)], dim=1)


def test_pooling_to_any_size_is_exported_with_its_channel_axis(tmp_path: Path) -> None:
    video = ModelInput("video", frames=5, size=(10, 12))
    layers = [*(f"clip.{index}" for index in range(1, 7)), "frame.1", "frame.2"]
    metadata = read_metadata(export(Pooling().eval(), [video], layers, tmp_path / "model.onnx"))
    assert metadata is not None
    assert metadata.export_error < 1e-5
    assert [layer.channel_axis for layer in metadata.layers] == [1] * len(layers)
    assert [layer.units for layer in metadata.layers] == [8, 6, 6, 5, 5, 4, 8, 6]
    assert [tuple(layer.shape[2:]) for layer in metadata.layers[3:7]] == [(3, 2, 7), (3, 1, 1), (3, 1, 1), (4, 7)]


class OneClip(nn.Module):
    """Pools a clip without the axis of clips."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 4, 3, padding=1)

    def forward(self, clip: Tensor) -> Tensor:
        return functional.adaptive_avg_pool3d(self.stem(clip)[0], (3, 2, 6)).flatten()[None]


def test_a_single_clip_is_pooled_too(tmp_path: Path) -> None:
    video = ModelInput("video", frames=5, size=(10, 12))
    metadata = read_metadata(export(OneClip().eval(), [video], ["stem"], tmp_path / "model.onnx", batch=1))
    assert metadata is not None
    assert metadata.export_error < 1e-5


@pytest.mark.parametrize("size", range(1, 12))
def test_windows_are_torchs(size: int) -> None:
    values = torch.rand(1, 1, size, dtype=torch.float64)
    for count in range(1, 12):
        means = [values[..., start:end].mean() for start, end in windows(size, count)]
        torch.testing.assert_close(torch.stack(means), functional.adaptive_avg_pool1d(values, count).flatten())
