"""Boundary-aware refinement: the fused features are told where they see an object's boundary, as in MATNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


class BoundaryRefinement(nn.Module):
    """Draws the boundary from every stage's fused features and appends it to them, so that the decoder reads it.

    Trained as MATNet is, every map it returns has a loss of its own, a fifth of the mask's
    (github.com/tfzhou/MATNet). The paper's "MATNet NoBAR" is without it.

    Parameters
    ----------
    channels
        Of the fused features, by stage.
    width
        Channels of the heads; 64 as published.

    Attributes
    ----------
    channels : dict
        Of the refined features, by stage: one more each.

    Examples
    --------
    >>> refinement = BoundaryRefinement({2: 8, 5: 16}, width=4)
    >>> features = {2: torch.ones(2, 8, 16, 16), 5: torch.ones(2, 16, 2, 2)}
    >>> refined, boundaries = refinement(features, size=(64, 64))
    >>> refined[5].shape, boundaries.shape
    (torch.Size([2, 17, 2, 2]), torch.Size([2, 3, 64, 64]))
    """

    def __init__(self, channels: Mapping[int, int], width: int = 64) -> None:
        super().__init__()
        self.channels = {stage: number + 1 for stage, number in sorted(channels.items())}
        self.heads = nn.ModuleDict({f"res{stage}": _head(channels[stage], width) for stage in self.channels})
        self.combine = nn.Conv2d(len(channels), 1, 3, padding=1)

    def forward(self, features: Mapping[int, Tensor], size: Sequence[int]) -> tuple[dict[int, Tensor], Tensor]:
        """Return the refined features and the boundaries.

        Parameters
        ----------
        features
            Fused features `(N, channels, h, w)` by stage.
        size
            Height and width of the boundaries.

        Returns
        -------
        refined, boundaries
            The features with one more channel, and logits `(N, 1 + stages, *size)`: what all stages together say, then
            each of them from the shallowest on.
        """
        drawn = {stage: self.heads[f"res{stage}"](features[stage]) for stage in self.channels}
        maps = torch.cat([interpolate(map_, list(size), mode="bilinear") for map_ in drawn.values()], 1)
        refined = {stage: torch.cat([features[stage], map_], 1) for stage, map_ in drawn.items()}
        return refined, torch.cat([self.combine(maps), maps], 1)


def _head(channels: int, width: int) -> nn.Sequential:
    """Return what draws a boundary from one stage's features."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, 1, 1),
    )
