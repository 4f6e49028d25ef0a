"""Boundary-aware refinement: object boundaries are predicted and added to the fused features, as in MATNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


class BoundaryRefinement(nn.Module):
    """Predicts the boundary from every stage's fused features and appends it to them, for the decoder to read.

    In MATNet's training every boundary map has its own loss, with a fifth of the weight of the mask's loss
    (github.com/tfzhou/MATNet). The paper's "MATNet NoBAR" has no refinement.

    Parameters
    ----------
    channels
        Number of channels of the fused features, by stage.
    width
        Number of channels of the heads; 64 as published.

    Attributes
    ----------
    channels : dict
        Number of channels of the refined features, by stage: one more than those of the fused features.

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
            The features with one more channel, and logits `(N, 1 + stages, *size)`: those of all stages combined, then
            those of each stage from the shallowest to the deepest.
        """
        drawn = {stage: self.heads[f"res{stage}"](features[stage]) for stage in self.channels}
        maps = torch.cat([interpolate(map_, list(size), mode="bilinear") for map_ in drawn.values()], 1)
        refined = {stage: torch.cat([features[stage], map_], 1) for stage, map_ in drawn.items()}
        return refined, torch.cat([self.combine(maps), maps], 1)


def _head(channels: int, width: int) -> nn.Sequential:
    """Return a head that predicts the boundary from one stage's features."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, 1, 1),
    )
