"""Decoders, which compute the logits of a mask from the fused features of several stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from sdmetrics.errors import InputError

Decoder = Literal["refining", "deeplab"]

DILATIONS = (3, 5, 7)
ATROUS_RATES = (6, 12, 18)
KERNEL = 7


class RefiningDecoder(nn.Module):
    """MATNet's decoder: wide context on the deepest features, then refined by each shallower stage.

    Parameters
    ----------
    channels
        Number of channels of the fused features, by stage.
    width
        Number of channels of the decoder, a multiple of 4; 256 as published.
    published
        Whether to compute what MATNet's code does (github.com/tfzhou/MATNet): it applies the first of the three dilated
        convolutions three times.

    Examples
    --------
    >>> decoder = RefiningDecoder({2: 8, 5: 16}, width=16)
    >>> decoder({2: torch.ones(2, 8, 16, 16), 5: torch.ones(2, 16, 2, 2)}).shape
    torch.Size([2, 1, 16, 16])
    """

    def __init__(self, channels: Mapping[int, int], width: int = 256, *, published: bool = False) -> None:
        super().__init__()
        *self.shallower, self.deepest = sorted(channels)
        self.context = _WideContext(channels[self.deepest], width)
        self.smooth = _residual(width)
        self.refine = nn.ModuleDict(
            {f"res{stage}": _Refinement(channels[stage], width, published) for stage in self.shallower}
        )
        self.mask = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, features: Mapping[int, Tensor]) -> Tensor:
        """Return logits `(N, 1, h, w)` at the resolution of the shallowest features."""
        mask = self.context(features[self.deepest])
        mask = mask + self.smooth(mask)
        for stage in reversed(self.shallower):
            mask = self.refine[f"res{stage}"](features[stage], mask)
        logits: Tensor = self.mask(mask.relu())
        return logits


class _WideContext(nn.Module):
    """A large window by separable convolutions: columns then rows, plus rows then columns."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        tall, flat = (KERNEL, 1), (1, KERNEL)
        self.tall_first, self.flat_first = (
            nn.Sequential(_line(channels, width, first), _line(width, width, then))
            for first, then in ((tall, flat), (flat, tall))
        )

    def forward(self, features: Tensor) -> Tensor:
        context: Tensor = self.tall_first(features) + self.flat_first(features)
        return context


def _line(before: int, width: int, kernel: tuple[int, int]) -> nn.Conv2d:
    """Return a convolution that keeps the size."""
    return nn.Conv2d(before, width, kernel, padding=(kernel[0] // 2, kernel[1] // 2))


class _Refinement(nn.Module):
    """A stage's features, convolved with several dilations, added to the coarser mask features."""

    def __init__(self, channels: int, width: int, published: bool) -> None:
        super().__init__()
        self.published = published
        self.plain = nn.Conv2d(channels, width // 4, 1)
        self.dilated = nn.ModuleList(
            nn.Conv2d(channels, width // 4, 3, padding=rate, dilation=rate) for rate in DILATIONS
        )
        self.norm = nn.BatchNorm2d(width)
        self.smooth_stage, self.smooth = _residual(width), _residual(width)

    def forward(self, features: Tensor, coarser: Tensor) -> Tensor:
        dilated = [self.dilated[0]] * len(self.dilated) if self.published else self.dilated
        stage = self.norm(torch.cat([self.plain(features), *(part(features) for part in dilated)], 1))
        stage = stage + self.smooth_stage(stage)
        finer = stage + interpolate(coarser, stage.shape[2:], mode="bilinear")
        refined: Tensor = finer + self.smooth(finer)
        return refined


def _residual(width: int) -> nn.Sequential:
    """Return two convolutions, the branch of a residual block."""
    return nn.Sequential(
        nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
    )


class DeepLabDecoder(nn.Module):
    """DeepLabv3+'s head: atrous spatial pyramid pooling of deep features, joined with shallow ones.

    In training a batch needs at least two images: the pyramid applies BatchNorm to averages over all positions.

    Parameters
    ----------
    channels
        Number of channels of the fused features, by stage; exactly two stages.
    width
        Number of channels of the decoder; 256 as published. The shallow features are projected to 3 / 16 of it.

    Raises
    ------
    InputError
        If there are not exactly two stages.

    Examples
    --------
    >>> decoder = DeepLabDecoder({2: 8, 5: 16}, width=16).eval()
    >>> decoder({2: torch.ones(2, 8, 16, 16), 5: torch.ones(2, 16, 2, 2)}).shape
    torch.Size([2, 1, 16, 16])
    """

    def __init__(self, channels: Mapping[int, int], width: int = 256) -> None:
        super().__init__()
        if len(channels) != 2:
            raise InputError(
                f"fused_stages are {', '.join(map(str, sorted(channels)))}; expected: two stages for the decoder "
                "'deeplab'. Pass fused_stages=(2, 5), or decoder='refining'"
            )
        self.shallow, self.deep = sorted(channels)
        narrow = max(1, 3 * width // 16)
        self.project = _convolution(channels[self.shallow], narrow)
        self.pyramid = nn.ModuleList(
            [
                _convolution(channels[self.deep], width),
                *(_convolution(channels[self.deep], width, 3, rate) for rate in ATROUS_RATES),
                nn.Sequential(nn.AdaptiveAvgPool2d(1), _convolution(channels[self.deep], width)),
            ]
        )
        self.join = nn.Sequential(_convolution(5 * width, width), nn.Dropout(0.1))
        self.smooth = _convolution(narrow + width, width, 3)
        self.mask = nn.Conv2d(width, 1, 1)

    def forward(self, features: Mapping[int, Tensor]) -> Tensor:
        """Return logits `(N, 1, h, w)` at the resolution of the shallow features."""
        shallow, deep = self.project(features[self.shallow]), features[self.deep]
        *levels, average = (part(deep) for part in self.pyramid)
        joined = self.join(torch.cat([*levels, average.expand_as(levels[0])], 1))
        joined = interpolate(joined, shallow.shape[2:], mode="bilinear")
        logits: Tensor = self.mask(self.smooth(torch.cat([shallow, joined], 1)))
        return logits


def _convolution(before: int, width: int, kernel: int = 1, rate: int = 1) -> nn.Sequential:
    """Return a convolution with BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, width, kernel, padding=kernel // 2 * rate, dilation=rate, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


def make_decoder(
    kind: Decoder, channels: Mapping[int, int], width: int, *, published: bool = False
) -> RefiningDecoder | DeepLabDecoder:
    """Return a decoder of fused features with the numbers of channels in `channels`, by stage.

    Raises
    ------
    InputError
        If the kind is unknown or the width is not allowed.

    Examples
    --------
    >>> type(make_decoder("deeplab", {2: 8, 5: 16}, width=16)).__name__
    'DeepLabDecoder'
    """
    if width < 4 or width % 4:
        raise InputError(f"width is {width}; expected: a multiple of 4, e.g. 256")
    if kind == "refining":
        return RefiningDecoder(channels, width, published=published)
    if kind == "deeplab":
        return DeepLabDecoder(channels, width)
    raise InputError(f"decoder is {kind!r}; allowed: {', '.join(get_args(Decoder))}")
