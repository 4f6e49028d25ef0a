"""Cross connections between an appearance and a motion stream (paper, Sec. 5.3).

A connection reads the features of both streams, `(N, c, H, W)` each, and returns what each stream receives, in the
same shape. A stream continues with relu(own + received), which is the layer that the paper measures.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, normalize

from sdmetrics.errors import InputError

Cross = Literal["none", "motion_to_appearance", "both_ways", "reciprocal"]

CASCADES = 5
REDUCTION = 16
NARROWEST = 8
"""Minimum number of channels of the affinity: if normalised, a single channel would keep only its sign."""


class CoAttention(nn.Module):
    """Connects the streams by co-attention: from motion to appearance, or both ways.

    In five cascades with shared weights each stream attends to its own positions (a softmax over a map of one channel).
    The affinity of every position of one stream with every position of the other is the tanh of a product over c / 16
    channels. It aggregates the appearance features at the positions of motion, L2-normalised over the channels. Without
    `both_ways`, motion receives only its own attended features. This is the transition of MATNet, for which the paper
    has no equations: github.com/tfzhou/MATNet.

    Parameters
    ----------
    channels
        c, the number of channels of each stream.
    both_ways
        Whether to aggregate motion by its affinity with appearance, too, and to add to both streams their own attended
        features, times one plus a gate. This is the paper's bidirectional connection:
        github.com/MSiam/MATNet_FusionCrossConStudy.

    Examples
    --------
    >>> appearance, motion = CoAttention(32)(torch.ones(2, 32, 4, 4), torch.ones(2, 32, 4, 4))
    >>> appearance.shape, motion.shape
    (torch.Size([2, 32, 4, 4]), torch.Size([2, 32, 4, 4]))
    """

    def __init__(self, channels: int, *, both_ways: bool = False) -> None:
        super().__init__()
        self.both_ways = both_ways
        narrow = max(NARROWEST, channels // REDUCTION)
        self.project_appearance, self.project_motion = (nn.Conv2d(channels, narrow, 1) for _ in range(2))
        for projection in (self.project_appearance, self.project_motion):
            # A softmax over all positions makes the features small, so a bias would dominate them.
            nn.init.zeros_(projection.bias)  # type: ignore[arg-type]  # it has one
        self.attend_appearance = nn.Conv2d(channels, 1, 1)
        self.attend_motion = nn.Conv2d(channels, 1, 1)
        if both_ways:
            self.gate = nn.Conv2d(2 * channels, 2, 1)

    def forward(self, appearance: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        """Return what appearance and what motion receive."""
        for _ in range(CASCADES - 1):
            to_appearance, to_motion = self._cascade(appearance, motion)
            appearance, motion = (appearance + to_appearance).relu(), (motion + to_motion).relu()
        return self._cascade(appearance, motion)

    def _cascade(self, appearance: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        appearance = _softmax_over_positions(self.attend_appearance(appearance)) * appearance
        motion = _softmax_over_positions(self.attend_motion(motion)) * motion
        # (N, positions of motion, positions of appearance)
        affinity = torch.bmm(
            self.project_motion(motion).flatten(2).transpose(1, 2), self.project_appearance(appearance).flatten(2)
        ).tanh()
        to_appearance = _aggregate(appearance, affinity.transpose(1, 2))
        if not self.both_ways:
            return to_appearance, motion
        gates = self.gate(torch.cat([appearance, motion], 1)).sigmoid()
        return (
            to_appearance + appearance * gates[:, :1] + appearance,
            _aggregate(motion, affinity) + motion * gates[:, 1:] + motion,
        )


class ReciprocalTransformation(nn.Module):
    """Connects the streams both ways by RTNet's reciprocal transformation: scaling, cross-attention, gating.

    Both streams are scaled per channel, by factors computed from both. Each position of appearance then attends to all
    positions of motion, and each position of motion to all positions of the updated appearance. Finally, each position
    has a gate for either stream. RTNet (github.com/OliverRensu/RTNet) also relates two frames of a video to each other
    and every frame to itself. Here a stream reads one frame, and only appearance and motion are related.

    Parameters
    ----------
    channels
        c, the number of channels of each stream.
    heads
        Number of attention heads; as published 1, 2, 4 and 8 after the four stages.
    pooled
        Whether to attend at half the resolution, as RTNet does after its first stage, which has many positions.

    Raises
    ------
    InputError
        If the channels are not a multiple of the heads.

    Examples
    --------
    >>> appearance, motion = ReciprocalTransformation(32, heads=2)(torch.ones(2, 32, 4, 4), torch.ones(2, 32, 4, 4))
    >>> appearance.shape, motion.shape
    (torch.Size([2, 32, 4, 4]), torch.Size([2, 32, 4, 4]))
    """

    def __init__(self, channels: int, *, heads: int = 1, pooled: bool = False) -> None:
        super().__init__()
        if channels % heads:
            raise InputError(
                f"channels is {channels} and heads is {heads}; use a multiple of the heads, or fewer heads"
            )
        self.pooled = pooled
        narrow = max(NARROWEST, channels // REDUCTION)
        self.reduce, self.expand = nn.Conv2d(2 * channels, narrow, 1), nn.Conv2d(narrow, 2 * channels, 1)
        self.appearance, self.motion = _Attention(channels, heads), _Attention(channels, heads)
        self.gate = nn.Conv2d(2 * channels, 2, 1)

    def forward(self, appearance: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        """Return what appearance and what motion receive."""
        size = appearance.shape[2:]
        both = torch.cat([appearance, motion], 1)
        scales = 1 + self.expand(self.reduce(both.mean((2, 3), keepdim=True)).relu()).sigmoid()
        appearance, motion = (scales * both).chunk(2, 1)
        if self.pooled:
            appearance, motion = (max_pool2d(stream, 3, stride=2, padding=1) for stream in (appearance, motion))
        appearance = self.appearance(appearance, motion)
        motion = self.motion(motion, appearance)
        if self.pooled:
            appearance, motion = (interpolate(stream, size, mode="bilinear") for stream in (appearance, motion))
        gates = 1 + self.gate(torch.cat([appearance, motion], 1)).sigmoid()
        return appearance * gates[:, :1], motion * gates[:, 1:]


class _Attention(nn.Module):
    """Attention of every position of one stream to all positions of the other."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(channels, channels, 1, bias=False)
        self.key = nn.Conv2d(channels, channels, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        query, key, value = (
            project(stream).reshape(stream.shape[0], self.heads, stream.shape[1] // self.heads, -1)
            for project, stream in ((self.query, own), (self.key, other), (self.value, other))
        )
        # (N, heads, positions of the other, own positions)
        weights = (key.transpose(2, 3) @ query / math.sqrt(query.shape[2])).softmax(2)
        attended: Tensor = value @ weights
        return attended.reshape(own.shape)


def _softmax_over_positions(scores: Tensor) -> Tensor:
    """Return a map `(N, 1, H, W)` whose positions sum to one."""
    return scores.flatten(2).softmax(2).reshape(scores.shape)


def _aggregate(features: Tensor, affinity: Tensor) -> Tensor:
    """Return features weighted and summed by an affinity `(N, positions, new positions)`, L2-normalised."""
    return normalize(torch.bmm(features.flatten(2), affinity).reshape(features.shape), dim=1)


def make_cross(kind: Cross, channels: int, stage: int) -> CoAttention | ReciprocalTransformation:
    """Return a connection of two streams with a number of channels after a stage.

    Raises
    ------
    InputError
        If the kind is unknown.

    Examples
    --------
    >>> make_cross("both_ways", 32, stage=3).both_ways
    True
    """
    if kind == "reciprocal":
        # Fewer heads if the number of channels of a backbone is not a multiple.
        return ReciprocalTransformation(channels, heads=math.gcd(channels, 2 ** (stage - 2)), pooled=stage == 2)
    if kind in ("motion_to_appearance", "both_ways"):
        return CoAttention(channels, both_ways=kind == "both_ways")
    raise InputError(f"cross is {kind!r}; allowed: {', '.join(get_args(Cross))}")
