"""Photometric looks: colours and brightness that differ from clip to clip and are the same in all frames of one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

INVERTED = 0.4
GAMMA, CONTRAST, OFFSET = (-0.6, 0.6), (0.6, 1.1), (-0.15, 0.15)
"""Uniform in these ranges; gamma as its logarithm."""


@dataclass(frozen=True)
class Looks:
    """One look per clip.

    Attributes
    ----------
    mixing
        `(N, 3, 3)`; each column, of weights with the sum 1, makes a channel from the three.
    inverted, gamma, contrast, offset
        `(N, 1, 1, 1, 3)`, per channel.
    """

    mixing: Tensor
    inverted: Tensor
    gamma: Tensor
    contrast: Tensor
    offset: Tensor

    @classmethod
    def drawn(cls, clips: int, generator: torch.Generator | None = None) -> Looks:
        """Draw the looks of so many clips; default: from torch's global generator of the CPU."""
        shape = clips, 1, 1, 1, 3

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(shape, generator=generator)

        mixing = torch.empty(clips, 3, 3).exponential_(generator=generator)
        return cls(
            mixing / mixing.sum(1, keepdim=True),
            torch.rand(shape, generator=generator) < INVERTED,
            uniform(*GAMMA).exp(),
            uniform(*CONTRAST),
            uniform(*OFFSET),
        )

    def __call__(self, values: Tensor) -> Tensor:
        """Return clips in their looks, given and returned as float32 `(N, T, H, W, 3)`, 0 to 1.

        Examples
        --------
        >>> Looks.drawn(2)(torch.rand(2, 8, 4, 4, 3)).shape
        torch.Size([2, 8, 4, 4, 3])
        """
        device = values.device
        with torch.autocast(device.type, enabled=False):
            mixed = (values.clamp(0, 1).flatten(1, 3) @ self.mixing.to(device)).reshape(values.shape).clamp(0, 1)
            mixed = torch.where(self.inverted.to(device), 1 - mixed, mixed) ** self.gamma.to(device)
            return ((mixed - 0.5) * self.contrast.to(device) + 0.5 + self.offset.to(device)).clamp(0, 1)
