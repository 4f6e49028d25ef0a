"""Build a 3-D ResNet of the size of SlowOnly-R50 (8 frames of 224²) with random weights, for measurements of speed."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

from sdmetrics.exporters.torch import export
from sdmetrics.probes.inputs import ModelInput

INPUT = ModelInput("video", frames=8, stride=8, size=(224, 224))
LAYERS = ("stem", "stage1", "stage2", "stage3", "stage4")
BLOCKS = (3, 4, 6, 3)


def conv(width_in: int, width_out: int, kernel: tuple[int, int, int], stride: int = 1) -> nn.Sequential:
    """Return a convolution that keeps the number of frames, with its batch normalisation."""
    padding = tuple(k // 2 for k in kernel)
    return nn.Sequential(
        nn.Conv3d(width_in, width_out, kernel, (1, stride, stride), padding, bias=False),
        nn.BatchNorm3d(width_out),
    )


class Bottleneck(nn.Module):
    """The residual block of a ResNet-50; `temporal` is the extent in time of its first convolution."""

    def __init__(self, width_in: int, width: int, stride: int, temporal: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            conv(width_in, width, (temporal, 1, 1)),
            nn.ReLU(inplace=True),
            conv(width, width, (1, 3, 3), stride),
            nn.ReLU(inplace=True),
            conv(width, 4 * width, (1, 1, 1)),
        )
        same = width_in == 4 * width and stride == 1
        self.shortcut = nn.Identity() if same else conv(width_in, 4 * width, (1, 1, 1), stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


def slowonly(classes: int = 400, blocks: tuple[int, ...] = BLOCKS, seed: int = 0) -> nn.Sequential:
    """Return the network, `(N, 3, 8, H, W)` to `(N, classes)`."""
    torch.manual_seed(seed)
    stem = nn.Sequential(
        conv(3, 64, (1, 7, 7), 2), nn.ReLU(inplace=True), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
    )
    stages, width_in = [], 64
    for number, depth in enumerate(blocks):
        width, temporal = 64 * 2**number, 1 if number < 2 else 3
        strides = [1 if number == 0 else 2] + [1] * (depth - 1)
        stage = [Bottleneck(width_in if i == 0 else 4 * width, width, s, temporal) for i, s in enumerate(strides)]
        stages.append(nn.Sequential(*stage))
        width_in = 4 * width
    named = OrderedDict(zip(LAYERS, [stem, *stages], strict=True))
    head = [
        ("pool", nn.AdaptiveAvgPool3d(1)),
        ("flatten", nn.Flatten()),
        ("fc", nn.Linear(width_in, classes)),
    ]
    return nn.Sequential(OrderedDict([*named.items(), *head])).eval()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path("slowonly.onnx"), help="File to write.")
    print(export(slowonly(), [INPUT], LAYERS, parser.parse_args().out))
