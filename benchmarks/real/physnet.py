"""PhysNet (Yu, Li and Zhao, 2019), which reads the pulse from a video of a face, and its published weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdmetrics.probes.inputs import ModelInput

FRAMES, SIDE, CHANNELS = 128, 72, 64
RATE = 30
"""Frames per second of the videos that it was trained on."""
LAYERS = (*(f"ConvBlock{number}" for number in range(1, 10)), "upsample", "upsample2")


class PhysNet(nn.Module):
    """Frames with values from 0 to 255, `(N, 3, T, H, W)`, in; the pulse, `(N, T)`, out."""

    def __init__(self) -> None:
        super().__init__()
        widths = [3, 16, 32, *[CHANNELS] * 7]
        for number in range(1, 10):
            kernel = (1, 5, 5) if number == 1 else (3, 3, 3)
            padding = (0, 2, 2) if number == 1 else (1, 1, 1)
            convolution = nn.Conv3d(widths[number - 1], widths[number], kernel, padding=padding)
            block = nn.Sequential(convolution, nn.BatchNorm3d(widths[number]), nn.ReLU())
            self.add_module(f"ConvBlock{number}", block)
        self.upsample, self.upsample2 = _doubling(), _doubling()
        self.ConvBlock10 = nn.Conv3d(CHANNELS, 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the pulse."""
        x = normalised_differences(frames)
        for number in range(1, 10):
            x = self.get_submodule(f"ConvBlock{number}")(x)
            if number in (1, 7):
                x = nn.functional.max_pool3d(x, (1, 2, 2))
            elif number in (3, 5):
                x = nn.functional.max_pool3d(x, 2)
        x = self.upsample2(self.upsample(x))
        return self.ConvBlock10(x.mean((3, 4), keepdim=True)).flatten(1)


def normalised_differences(frames: Tensor) -> Tensor:
    """Return what the network was trained on: relative differences to the next frame, scaled to a deviation of 1.

    The last frame has no next one: its difference is 0. So is everything if nothing moves.
    """
    before, after = frames[:, :, :-1], frames[:, :, 1:]
    steps = (after - before) / (after + before + 1e-7)
    deviation = _mean((steps - _mean(steps)).square()).sqrt()
    steps = torch.where(deviation > 0, steps / deviation, 0.0)
    return nn.functional.pad(steps, (0, 0, 0, 0, 0, 1))


def _mean(values: Tensor) -> Tensor:
    """Return the mean of each clip, in two steps: one float32 sum of 2 million numbers is exact to 1e-4 only."""
    return values.mean((3, 4), keepdim=True).mean((1, 2), keepdim=True)


def video() -> ModelInput:
    """Describe how PhysNet is fed."""
    values = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255,) * 3}
    return ModelInput("video", frames=FRAMES, stride=1, fps=RATE, size=(SIDE, SIDE), **values)


def _doubling() -> nn.Sequential:
    """Return a block that doubles the number of frames."""
    convolution = nn.ConvTranspose3d(CHANNELS, CHANNELS, (4, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0))
    return nn.Sequential(convolution, nn.BatchNorm3d(CHANNELS), nn.ELU())
