"""Fusion of an appearance and a motion stream: concatenation, gated, convex combination gated (paper, Sec. 5.3).

All three read features Ua and Um, `(N, c, H, W)` each, and return the fused features. As in the paper's equations, ⊕ is
concatenation of channels and ∘ is the product. The two gated fusions compute the paper's equations by default. The code
that the paper's numbers come from differs in some places, listed in the classes; with `published=True` the fusions
compute what that code does, and can load its weights.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from sdmetrics.errors import InputError

Fusion = Literal["concatenation", "gated", "convex_gated"]

REDUCTION = 16
FEWEST = 4
"""Minimum number of hidden units of squeeze and excitation: if there are one or two, all may be inactive."""
KERNEL = 7


class Concatenation(nn.Module):
    """Concatenates both streams and mixes them with a 1 × 1 convolution, as in FusionSeg.

    Parameters
    ----------
    channels
        c, the number of channels of each stream and of the fused features.

    Examples
    --------
    >>> Concatenation(8)(torch.ones(2, 8, 4, 4), torch.ones(2, 8, 4, 4)).shape
    torch.Size([2, 8, 4, 4])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.mix = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, appearance: Tensor, motion: Tensor) -> Tensor:
        """Return the fused features, `(N, c, H, W)`."""
        fused: Tensor = self.mix(torch.cat([appearance, motion], 1))
        return fused


class Gated(nn.Module):
    """Gated fusion (Eqs. 6 and 8): a gate for every channel of both streams, and a gate for every position.

    U = Ua ⊕ Um, Ac = Fe(Fs(U)), Z = Ac ∘ U; the result is Asp ∘ Z + Z. The paper does not define Asp here. It is
    computed by a 7 × 7 convolution of the maximum over Z's channels, as in the authors' code, and a sigmoid, as in
    Eq. 7.

    Parameters
    ----------
    channels
        c, the number of channels of each stream; the fused features have 2c.
    published
        Whether to compute what MATNet's code does (github.com/tfzhou/MATNet): BatchNorm instead of Asp's sigmoid; an
        additional gate for all of Asp ∘ Z, from Fe's hidden units; and U, not Z, is added.

    Examples
    --------
    >>> Gated(8)(torch.ones(2, 8, 4, 4), torch.ones(2, 8, 4, 4)).shape
    torch.Size([2, 16, 4, 4])
    """

    def __init__(self, channels: int, *, published: bool = False) -> None:
        super().__init__()
        self.channels = 2 * channels
        self.published = published
        self.channel = ChannelAttention(2 * channels, gates=2 * channels)
        self.spatial = nn.Conv2d(1, 1, KERNEL, padding=KERNEL // 2, bias=False)
        if published:
            self.norm = nn.BatchNorm2d(1, momentum=0.01)
            self.overall = nn.Linear(self.channel.hidden, 1)

    def forward(self, appearance: Tensor, motion: Tensor) -> Tensor:
        """Return the fused features, `(N, 2c, H, W)`."""
        both = torch.cat([appearance, motion], 1)
        gated: Tensor = self.channel(both) * both
        position: Tensor = self.spatial(gated.amax(1, keepdim=True))
        if not self.published:
            return position.sigmoid() * gated + gated
        overall = self.overall(self.channel.squeezed(both)).sigmoid()[:, :, None, None]
        fused: Tensor = both + overall * self.norm(position) * gated
        return fused


class ConvexGated(nn.Module):
    """Convex combination gated fusion (Eqs. 5 and 7): the gates of both streams sum to one.

    Ac = Fe(Fs(Ua ⊕ Um)), Za = Ac ∘ Ua, Zm = (1 - Ac) ∘ Um; the result is Asp ∘ Za ⊕ (1 - Asp) ∘ Zm. The paper calls
    Za and Zm in Eq. 7 "average pooled", but averages would leave no features to return. It is therefore read as
    follows: the factors are Za and Zm of Eq. 5, and Asp is computed from their averages over the channels, by a 7 × 7
    convolution and a sigmoid.

    Parameters
    ----------
    channels
        c, the number of channels of each stream; the fused features have 2c.
    published
        Whether to compute what the code of the paper's study does (github.com/MSiam/MATNet_FusionCrossConStudy): Asp
        is also computed from the maxima over the channels. RTNet's own code (github.com/OliverRensu/RTNet) adds the two
        products instead of ⊕.

    Examples
    --------
    >>> ConvexGated(8)(torch.ones(2, 8, 4, 4), torch.ones(2, 8, 4, 4)).shape
    torch.Size([2, 16, 4, 4])
    """

    def __init__(self, channels: int, *, published: bool = False) -> None:
        super().__init__()
        self.channels = 2 * channels
        self.published = published
        self.channel = ChannelAttention(2 * channels, gates=channels)
        self.spatial = nn.Conv2d(4 if published else 2, 1, KERNEL, padding=KERNEL // 2, bias=False)

    def forward(self, appearance: Tensor, motion: Tensor) -> Tensor:
        """Return the fused features, `(N, 2c, H, W)`."""
        gates = self.channel(torch.cat([appearance, motion], 1))
        streams = (gates * appearance, (1 - gates) * motion)
        maps: list[Tensor] = []
        for stream in streams:
            maps.append(stream.mean(1, keepdim=True))
            if self.published:
                maps.append(stream.amax(1, keepdim=True))
        position = self.spatial(torch.cat(maps, 1)).sigmoid()
        return torch.cat([position * streams[0], (1 - position) * streams[1]], 1)


class ChannelAttention(nn.Module):
    """Squeeze and excitation, Fe(Fs(U)) of Eqs. 5 and 6: gates from 0 to 1, computed from every channel's average.

    Parameters
    ----------
    channels
        Number of channels of U, which Fs averages over all positions.
    gates
        Number of gates. Fe has `channels` / 16 hidden units, at least 4.

    Examples
    --------
    >>> ChannelAttention(32, gates=16)(torch.ones(2, 32, 4, 4)).shape
    torch.Size([2, 16, 1, 1])
    """

    def __init__(self, channels: int, gates: int) -> None:
        super().__init__()
        self.hidden = max(FEWEST, channels // REDUCTION)
        self.reduce = nn.Linear(channels, self.hidden)
        self.expand = nn.Linear(self.hidden, gates)

    def squeezed(self, features: Tensor) -> Tensor:
        """Return Fe's hidden units, `(N, hidden)`."""
        hidden: Tensor = self.reduce(features.mean((2, 3))).relu()
        return hidden

    def forward(self, features: Tensor) -> Tensor:
        """Return the gates, `(N, gates, 1, 1)`."""
        gates: Tensor = self.expand(self.squeezed(features)).sigmoid()
        return gates[:, :, None, None]


def make_fusion(kind: Fusion, channels: int, *, published: bool = False) -> Concatenation | Gated | ConvexGated:
    """Return a fusion of two streams with a number of channels.

    Raises
    ------
    InputError
        If the kind is unknown.

    Examples
    --------
    >>> make_fusion("convex_gated", 8).channels
    16
    """
    if kind == "concatenation":
        return Concatenation(channels)
    if kind == "gated":
        return Gated(channels, published=published)
    if kind == "convex_gated":
        return ConvexGated(channels, published=published)
    raise InputError(f"fusion is {kind!r}; allowed: {', '.join(get_args(Fusion))}")
