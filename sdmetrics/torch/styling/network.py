"""The networks of a learnt style: one paints, the other tells paintings from what the first one paints."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

WIDTHS = (24, 48, 64)
"""Channels at full, half and quarter size."""

BLOCKS = 4
"""Residual blocks at quarter size."""


class Painter(nn.Module):
    """An image-to-image network, U-shaped with residual blocks: what it paints depends on the surroundings alone.

    It has no normalisation, so that a place is painted alike whatever else the frame shows, and steadily.

    Examples
    --------
    >>> Painter()(torch.zeros(1, 3, 45, 30)).shape
    torch.Size([1, 3, 45, 30])
    """

    def __init__(self) -> None:
        super().__init__()
        full, half, quarter = WIDTHS
        self.enter = nn.Sequential(nn.Conv2d(3, full, 5, padding=2), nn.ReLU())
        self.down = nn.Sequential(nn.Conv2d(full, half, 3, stride=2, padding=1), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(half, quarter, 3, stride=2, padding=1), nn.ReLU())
        self.blocks = nn.Sequential(*(Block(quarter) for _ in range(BLOCKS)))
        self.up = nn.Sequential(nn.Conv2d(quarter + half, half, 3, padding=1), nn.ReLU())
        self.leave = nn.Sequential(nn.Conv2d(half + full, full, 3, padding=1), nn.ReLU())
        self.paint = nn.Conv2d(full, 3, 5, padding=2)

    def forward(self, image: Tensor) -> Tensor:
        """Return images `(N, 3, H, W)`, 0 to 1, painted; in training also beyond, where a gradient leads back."""
        full = self.enter(image - 0.5)
        half = self.down(full)
        quarter = self.blocks(self.deep(half))
        up = self.up(torch.cat([interpolate(quarter, size=half.shape[-2:]), half], dim=1))
        leave = self.leave(torch.cat([interpolate(up, size=full.shape[-2:]), full], dim=1))
        painted: Tensor = image + self.paint(leave)
        return painted if self.training else painted.clamp(0, 1)


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features with what the convolutions add."""
        added: Tensor = self.convolutions(features)
        return features + added


class Judge(nn.Sequential):
    """Tells, place by place, patches of a painting (towards 1) from patches that the painter made (towards 0)."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 1, 3, padding=1),
        )
