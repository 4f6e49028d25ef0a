"""Instance masks: the attention maps of the queries, refined by a few convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class InstanceMasks(nn.Module):
    """Predicts the mask of each object in each frame, at four times the resolution of the encoded pixels.

    Each query attends to the pixels of its own frame with several heads, as in DETR's mask head (Carion et al.,
    ECCV 2020). Convolutions over space and time then read these maps of one object in all frames, together with
    features of the pixels. VisTR itself applies deformable convolutions to each frame before it convolves over time.

    Parameters
    ----------
    channels, heads
        Width and number of heads of the transformer.
    width
        Number of channels of the convolutions.

    Examples
    --------
    >>> draw = InstanceMasks(channels=24, heads=2)
    >>> draw(torch.zeros(1, 4, 5, 24), torch.zeros(1, 4, 6, 6, 24)).shape
    torch.Size([1, 4, 5, 24, 24])
    """

    def __init__(self, channels: int, heads: int, width: int = 16) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.shown = nn.Linear(channels, width)
        self.convolutions = nn.Sequential(
            *_convolution(heads + width, width),
            nn.Upsample(scale_factor=(1, 2, 2)),
            *_convolution(width, width),
            nn.Upsample(scale_factor=(1, 2, 2)),
            *_convolution(width, width),
            nn.Conv3d(width, 1, 1),
        )

    def forward(self, found: Tensor, pixels: Tensor) -> Tensor:
        """Return logits `(N, T, queries, 4 h, 4 w)`.

        `found` `(N, T, queries, channels)` are the decoder's query features, `pixels` `(N, T, h, w, channels)` the
        encoder's tokens.
        """
        queries, keys = (part.unflatten(-1, (self.heads, -1)) for part in (self.query(found), self.key(pixels)))
        maps = torch.einsum("ntqdc,nthwdc->nqdthw", queries, keys) / keys.shape[-1] ** 0.5
        shown = self.shown(pixels).permute(0, 4, 1, 2, 3)
        seen = torch.cat([maps, shown[:, None].expand(-1, maps.shape[1], -1, -1, -1, -1)], dim=2)
        drawn = self.convolutions(seen.flatten(0, 1))
        masks: Tensor = drawn.unflatten(0, (-1, maps.shape[1])).squeeze(2).transpose(1, 2)
        return masks


def _convolution(read: int, returned: int) -> list[nn.Module]:
    return [nn.Conv3d(read, returned, 3, padding=1), nn.GroupNorm(4, returned), nn.ReLU()]
