"""FusionSeg, MATNet and RTNet, as the paper studies them: what they are made of (Sec. 4.1.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from sdmetrics.errors import InputError, load_library
from sdmetrics.torch.segmenters.backbones import STAGES, take_apart
from sdmetrics.torch.segmenters.cross_connections import Cross
from sdmetrics.torch.segmenters.fusion import Fusion
from sdmetrics.torch.segmenters.two_stream import TwoStream

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d")
DILATABLE = RESNETS[2:]
"""Made of bottleneck blocks, which alone torchvision can dilate."""


def fusionseg(backbone: str = "resnet101") -> TwoStream:
    """Return FusionSeg as the paper modifies it: no cross connection, and DeepLabv3+'s encoder and decoder.

    The streams are fused by 1 × 1 convolutions after stages 2 and 5. In stage 5 dilation takes the place of the stride,
    so that the features are a 16th of the input's size. The weights are random.

    Parameters
    ----------
    backbone
        Of both streams, by torchvision's name: a ResNet of bottleneck blocks.

    Raises
    ------
    InputError
        If there is no such backbone.

    Examples
    --------
    >>> fusionseg("resnet50").layers[-2:]
    ('fusion.res2', 'fusion.res5')
    """
    streams = [_resnet(backbone, DILATABLE, replace_stride_with_dilation=[False, False, True]) for _ in range(2)]
    return TwoStream(*streams, fusion="concatenation", fused_stages=(2, 5), decoder="deeplab")


def matnet(
    backbone: str = "resnet101",
    *,
    cross: Cross = "motion_to_appearance",
    fusion: Fusion = "gated",
    refinement: bool = True,
    published: bool = False,
) -> TwoStream:
    """Return MATNet: co-attention from motion to appearance after stages 3 to 5, gated fusion, boundary refinement.

    The paper trains its variants by the other arguments: without `refinement` it is "MATNet NoBAR", with
    `cross="both_ways"` the paper's own "RTNet*", with `fusion="convex_gated"` "MATNet* (CCG)". The weights are random.

    Parameters
    ----------
    backbone
        Of both streams, by torchvision's name.
    cross, fusion, refinement, published
        As for `TwoStream`. With `published` it is the network of MATNet's authors to the last number, and takes their
        weights (`sdmetrics export matnet --checkpoint FOLDER`).

    Raises
    ------
    InputError
        If an argument is not allowed.

    Examples
    --------
    >>> matnet("resnet18").layers[-4:]
    ('fusion.res2', 'fusion.res3', 'fusion.res4', 'fusion.res5')
    """
    streams = [_resnet(backbone, RESNETS) for _ in range(2)]
    return TwoStream(*streams, cross=cross, fusion=fusion, refinement=refinement, published=published)


def rtnet(backbone: str = "resnext50_32x4d") -> TwoStream:
    """Return RTNet: reciprocal transformations after every stage, and convex combination gated fusion.

    The published RTNet reads two frames of a video, and the flow both forwards and backwards. This one reads a frame
    and the flow to the next, as the other models do, and has the decoder of MATNet; the weights of RTNet's authors do
    not fit it. Its own are random.

    Parameters
    ----------
    backbone
        Of both streams, by torchvision's name. RTNet was published with `"resnext50_32x4d"`, which the paper measures,
        and with `"resnet34"`.

    Raises
    ------
    InputError
        If there is no such backbone.

    Examples
    --------
    >>> len(rtnet("resnet18").cross)
    4
    """
    streams = [_resnet(backbone, RESNETS) for _ in range(2)]
    return TwoStream(*streams, cross="reciprocal", crossed_stages=STAGES, fusion="convex_gated")


def _resnet(name: str, allowed: Sequence[str], **options: Any) -> nn.Module:  # noqa: ANN401 (torchvision's own)
    """Return one of torchvision's ResNets, whose features are of one order of magnitude with random weights, too.

    With BatchNorm's first statistics each residual block as good as doubles the variance, 30 of them in a row saturate
    every gate behind them. Their branches therefore begin weaker, by the root of the number of blocks in their stage.
    """
    if name not in allowed:
        raise InputError(f"backbone is {name!r}; allowed: {', '.join(allowed)}")
    network: nn.Module = getattr(load_library("torchvision.models"), name)(**options)
    stages: Any = take_apart(network)[1].values()
    for stage in stages:
        for block in stage:
            nn.init.constant_((block.bn3 if hasattr(block, "bn3") else block.bn2).weight, len(stage) ** -0.5)
    return network
