"""Fusion of an appearance and a motion stream: concatenation, gated, convex combination gated (paper, Sec. 5.3).

All three read features Ua and Um, `(N, c, H, W)` each, and return the fused ones; ⊕ is concatenation of channels and ∘
the product, as in the paper's equations. Those are what the two gated fusions compute. The code that the paper's
numbers come from differs in places, which the classes list; `published=True` computes what that code does, and takes
its weights.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from sdmetrics.errors import InputError

Fusion = Literal["concatenation", "gated", "convex_gated"]

REDUCTION = 16
FEWEST = 4
"""Hidden units of squeeze and excitation, at least: of one or two, none may ever fire."""
KERNEL = 7


class Concatenation(nn.Module):
    """Concatenates both streams and mixes them by a 1 × 1 convolution, as FusionSeg does.

    Parameters
    ----------
    channels
        c, the channels of each stream, and of what is returned.

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
    """Gated fusion (Eqs. 6 and 8): every channel of either stream has a gate, and every position.

    U = Ua ⊕ Um, Ac = Fe(Fs(U)), Z = Ac ∘ U; then Asp ∘ Z + Z is returned. The paper leaves open what Asp is made of: as
    in the authors' code it is a 7 × 7 convolution of the largest channel of Z, and as in Eq. 7 a sigmoid follows.

    Parameters
    ----------
    channels
        c, the channels of each stream; twice as many are returned.
    published
        Compute what the code of MATNet does (github.com/tfzhou/MATNet): BatchNorm in place of Asp's sigmoid; one more
        gate for all of Asp ∘ Z, from Fe's hidden units; and U, not Z, is added.

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
    """Convex combination gated fusion (Eqs. 5 and 7): the gates of the two streams sum to one.

    Ac = Fe(Fs(Ua ⊕ Um)), Za = Ac ∘ Ua, Zm = (1 - Ac) ∘ Um; then Asp ∘ Za ⊕ (1 - Asp) ∘ Zm is returned. The paper calls
    Za and Zm in Eq. 7 "average pooled". Averages would leave no features to be returned, so it is read thus: what is
    multiplied are Za and Zm of Eq. 5, and what Asp is made of, by a 7 × 7 convolution and a sigmoid, are their averages
    over the channels.

    Parameters
    ----------
    channels
        c, the channels of each stream; twice as many are returned.
    published
        Compute what the code of the paper's study does (github.com/MSiam/MATNet_FusionCrossConStudy): Asp is made of
        the largest channels, too. RTNet's own code (github.com/OliverRensu/RTNet) adds the two products in place of ⊕.

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
    """Fe(Fs(U)), the squeeze and excitation of Eqs. 5 and 6: gates in 0 to 1 from the average of every channel.

    Parameters
    ----------
    channels
        Of U, which Fs averages over all positions.
    gates
        How many there are. Fe has a sixteenth of `channels` as hidden units, and no fewer than 4.

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
    """Return a fusion of two streams of so many channels.

    Raises
    ------
    InputError
        If there is none of that kind.

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
