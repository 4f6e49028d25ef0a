"""FusionSeg, MATNet and RTNet, as studied in the paper (Sec. 4.1.2)."""

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
"""ResNets with bottleneck blocks, the only ones that torchvision can dilate."""


def fusionseg(backbone: str = "resnet101") -> TwoStream:
    """Return FusionSeg as modified in the paper: no cross connections, and DeepLabv3+'s encoder and decoder.

    The streams are fused by 1 × 1 convolutions after stages 2 and 5. Stage 5 is dilated instead of strided, so its
    resolution is 1/16 of the input's. The weights are random.

    Parameters
    ----------
    backbone
        Backbone of both streams, by its name in torchvision: a ResNet with bottleneck blocks.

    Raises
    ------
    InputError
        If the backbone is not supported.

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

    The paper also trains variants: "MATNet NoBAR" has `refinement=False`, the paper's own "RTNet*" has
    `cross="both_ways"`, and "MATNet* (CCG)" has `fusion="convex_gated"`. The weights are random.

    Parameters
    ----------
    backbone
        Backbone of both streams, by its name in torchvision.
    cross, fusion, refinement, published
        As for `TwoStream`. With `published` the network is exactly that of MATNet's authors, and can load their weights
        (`sdmetrics export matnet --checkpoint FOLDER`).

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
    """Return RTNet: reciprocal transformations after every stage and convex combination gated fusion.

    The published RTNet reads two frames of a video and both forward and backward flow. This network reads a frame and
    the flow to the next, like the other models, and has MATNet's decoder, so it cannot load the weights of RTNet's
    authors. The weights are random.

    Parameters
    ----------
    backbone
        Backbone of both streams, by its name in torchvision. RTNet was published with `"resnext50_32x4d"`, which the
        paper measures, and with `"resnet34"`.

    Raises
    ------
    InputError
        If the backbone is not supported.

    Examples
    --------
    >>> len(rtnet("resnet18").cross)
    4
    """
    streams = [_resnet(backbone, RESNETS) for _ in range(2)]
    return TwoStream(*streams, cross="reciprocal", crossed_stages=STAGES, fusion="convex_gated")


def _resnet(name: str, allowed: Sequence[str], **options: Any) -> nn.Module:  # noqa: ANN401 (torchvision's own)
    """Return one of torchvision's ResNets, initialised so that its features do not grow with its depth.

    With BatchNorm's initial statistics each residual block nearly doubles the variance, and 30 blocks in a row would
    saturate every later gate. The branches are therefore scaled down by the square root of the number of blocks in
    their stage.
    """
    if name not in allowed:
        raise InputError(f"backbone is {name!r}; allowed: {', '.join(allowed)}")
    network: nn.Module = getattr(load_library("torchvision.models"), name)(**options)
    stages: Any = take_apart(network)[1].values()
    for stage in stages:
        for block in stage:
            nn.init.constant_((block.bn3 if hasattr(block, "bn3") else block.bn2).weight, len(stage) ** -0.5)
    return network
