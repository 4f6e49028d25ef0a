"""3-D ResNets: C2D, I3D, SlowOnly, FastOnly, and the parts that SlowFast and X3D share with them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import cycle, islice
from typing import TypeVar

from torch import Tensor, nn

Size = tuple[int, int, int]
"""Frames, height and width of a kernel, a stride or a window."""

Kernels = Sequence[Sequence[int]]
"""Frames that the first convolution of a block spans: for each stage its blocks' numbers, repeated to its length."""

DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""The stages' numbers of blocks. All blocks are bottlenecks, also at depth 18, as in SlowFast's code."""

STRIDES = (1, 2, 2, 2)
"""By how much each stage reduces height and width."""

Network = TypeVar("Network", bound=nn.Module)


def resnet3d(
    classes: int,
    kernels: Kernels,
    *,
    depth: int = 50,
    width: int = 64,
    stem: int = 1,
    stem_strides: tuple[int, int] = (1, 1),
    pool: int = 1,
    window: Size | None = None,
) -> nn.Sequential:
    """Build a 3-D ResNet with random weights.

    Its blocks are the stem, the four stages (with a pooling over time after the first, if any) and the head.

    Parameters
    ----------
    classes
        Number of classes.
    kernels
        Temporal kernel sizes of the stages' blocks.
    depth
        18, 50 or 101.
    width
        Channels of the stem. The first stage returns four times as many, and each later stage twice as many as the one
        before.
    stem
        Temporal kernel size of the stem's convolution.
    stem_strides
        Temporal strides of the stem's convolution and of its pooling.
    pool
        How many frames become one after the first stage.
    window
        What the head averages over before it classifies; the results of all windows are averaged. Default: everything.

    Examples
    --------
    >>> import torch
    >>> network = resnet3d(5, ((3,), (3, 1), (3, 1), (1, 3)), depth=18, width=8, stem=5, pool=2)
    >>> [name for name, _ in network.blocks[2:4].named_children()]
    ['2', '3']
    >>> network.eval()(torch.zeros(2, 3, 4, 32, 32)).shape
    torch.Size([2, 5])
    """
    blocks: list[nn.Module] = [resnet_stem(width, stem, stem_strides)]
    channels, returned = width, 4 * width
    for sizes, count, stride in zip(kernels, DEPTHS[depth], STRIDES, strict=True):
        blocks.append(resnet_stage(channels, returned, sizes, count, stride))
        channels, returned = returned, 2 * returned
        if pool > 1 and len(blocks) == 2:
            blocks.append(nn.MaxPool3d((pool, 1, 1)))
    return initialized(named(blocks=nn.Sequential(*blocks, Head(average(window), channels, classes))))


def resnet_stem(width: int, frames: int, strides: tuple[int, int] = (1, 1)) -> nn.Sequential:
    """Return the stem, which reduces height and width to a quarter.

    Parameters
    ----------
    width
        Number of channels.
    frames
        Temporal kernel size of the convolution.
    strides
        Temporal strides of the convolution and of the pooling.
    """
    return named(
        conv=convolution(3, width, (frames, 7, 7), (strides[0], 2, 2)),
        norm=nn.BatchNorm3d(width),
        activation=nn.ReLU(),
        pool=nn.MaxPool3d((1, 3, 3), (strides[1], 2, 2), (0, 1, 1)),
    )


def resnet_stage(channels: int, returned: int, kernels: Sequence[int], count: int, stride: int) -> nn.Sequential:
    """Return a stage of `count` bottlenecks, of which the first changes the channels and the size of the frames."""
    blocks = []
    for frames in islice(cycle(kernels), count):
        branch = bottleneck(channels, returned, frames, stride)
        blocks.append(Residual(branch, channels, returned, stride))
        channels, stride = returned, 1
    return stage(blocks)


def bottleneck(channels: int, returned: int, frames: int, stride: int) -> nn.Sequential:
    """Return a convolution over `frames` frames, one over space, and one over neither, in a quarter of the channels."""
    inner = returned // 4
    return named(
        conv_a=convolution(channels, inner, (frames, 1, 1)),
        norm_a=nn.BatchNorm3d(inner),
        act_a=nn.ReLU(),
        conv_b=convolution(inner, inner, (1, 3, 3), (1, stride, stride)),
        norm_b=nn.BatchNorm3d(inner),
        act_b=nn.ReLU(),
        conv_c=convolution(inner, returned, (1, 1, 1)),
        norm_c=nn.BatchNorm3d(returned),
    )


class Residual(nn.Module):
    """Adds a branch to its own input, which a convolution adapts where the branch changes channels or size.

    Parameters
    ----------
    branch
        The branch.
    channels, returned
        Channels that the branch reads and returns. The adapted input is normalised if they differ.
    stride
        By how much the branch reduces height and width.
    """

    def __init__(self, branch: nn.Module, channels: int, returned: int, stride: int) -> None:
        super().__init__()
        changed = channels != returned
        adapts = changed or stride > 1
        self.branch1_conv = convolution(channels, returned, (1, 1, 1), (1, stride, stride)) if adapts else None
        self.branch1_norm = nn.BatchNorm3d(returned) if changed else None
        self.branch2 = branch
        self.activation = nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        """Return the sum, without what is below zero."""
        kept = clip if self.branch1_conv is None else self.branch1_conv(clip)
        if self.branch1_norm is not None:
            kept = self.branch1_norm(kept)
        rectified: Tensor = self.activation(kept + self.branch2(clip))
        return rectified


class Head(nn.Module):
    """Pools, classifies every position that is left, and averages over the positions.

    Parameters
    ----------
    pool
        What is done before; None if it has been done.
    features
        Number of channels after it.
    classes
        Number of classes.
    """

    def __init__(self, pool: nn.Module | None, features: int, classes: int) -> None:
        super().__init__()
        self.pool = pool
        self.dropout = nn.Dropout(0.5)
        self.proj = nn.Linear(features, classes)
        self.output_pool = nn.AdaptiveAvgPool3d(1)

    def forward(self, clip: Tensor) -> Tensor:
        """Return the logits `(N, classes)` of features `(N, C, T, H, W)`."""
        if self.pool is not None:
            clip = self.pool(clip)
        logits = self.proj(self.dropout(clip).movedim(1, -1)).movedim(-1, 1)
        averaged: Tensor = self.output_pool(logits)
        return averaged.flatten(1)


def named(**parts: nn.Module) -> nn.Sequential:
    """Return modules that follow each other, by their names."""
    return nn.Sequential(OrderedDict(parts))


def stage(blocks: Sequence[nn.Module]) -> nn.Sequential:
    """Return a stage of residual blocks."""
    return named(res_blocks=nn.Sequential(*blocks))


def convolution(channels: int, returned: int, kernel: Size, stride: Size = (1, 1, 1), *, groups: int = 1) -> nn.Conv3d:
    """Return a convolution without a bias that keeps the size of its input, apart from its stride."""
    frames, height, width = (size // 2 for size in kernel)
    return nn.Conv3d(channels, returned, kernel, stride, (frames, height, width), groups=groups, bias=False)


def average(window: Size | None) -> nn.Module:
    """Return an average over a sliding window, or over everything."""
    return nn.AvgPool3d(window, stride=1) if window else nn.AdaptiveAvgPool3d(1)


def initialized(network: Network) -> Network:
    """Draw random weights with which activations neither vanish nor explode."""
    for name, part in network.named_modules():
        if isinstance(part, nn.Conv3d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        # In evaluation nothing normalises random weights: with a scale of 1 each block would triple the variance.
        elif name.endswith(".branch2.norm_c"):
            nn.init.constant_(part.get_parameter("weight"), 0.5)
    return network
