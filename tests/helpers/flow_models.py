"""Models that read a frame and its optical flow, and clips that have both."""

from functools import partial

import numpy as np
import torch
from torch import nn

from sdmetrics.clips.clip import Clip
from sdmetrics.probes.inputs import ModelInput

SIZE = (16, 24)
IMAGE = ModelInput("image", frames=1, stride=1, size=SIZE, layout="NCHW")
FLOW = ModelInput("flow", "flow", frames=1, stride=1, size=SIZE, layout="NCHW", mean=(0.5,) * 3, std=(0.25,) * 3)
VECTORS = ModelInput("motion", "flow_vectors", frames=1, stride=1, size=SIZE, layout="NCHW")
VIDEO = ModelInput("video", frames=4, stride=1, size=SIZE)
LAYERS = ["appearance", "movement", "fusion"]


class TwoStreams(nn.Module):
    """A frame and its flow, each through a convolution, and both through another."""

    def __init__(self, channels=3):
        super().__init__()
        self.appearance = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
        self.movement = nn.Sequential(nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU())
        self.fusion = nn.Conv2d(12, 5, 1)

    def forward(self, image, flow):
        return self.fusion(torch.cat([self.appearance(image), self.movement(flow)], 1))


def two_streams(channels=3):
    torch.manual_seed(1)
    return TwoStreams(channels).eval()


def _frames(number, frames):
    return np.random.default_rng(number).integers(0, 256, (frames, *SIZE, 3), dtype=np.uint8)


def _flow(number, frames):
    rng = np.random.default_rng([number, 1])
    coarse = rng.normal(scale=3, size=(frames, 2, 3, 2)).astype(np.float32)
    return np.ascontiguousarray(coarse.repeat(8, 1).repeat(8, 2))


def moving_clip(number, frames=1):
    """Return a clip of noise, with patches that move."""
    return Clip(
        f"moving-{number}",
        partial(_frames, number, frames),
        load_flow=partial(_flow, number, frames),
    )
