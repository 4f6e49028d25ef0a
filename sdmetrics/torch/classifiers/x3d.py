"""X3D, 3-D ResNets whose 3-D convolutions look at each channel by itself (Feichtenhofer, CVPR 2020)."""

from __future__ import annotations

from torch import Tensor, nn

from sdmetrics.torch.classifiers.resnet3d import Head, Residual, Size, average, convolution, initialized, named, stage

STAGES = ((24, 54, 8), (48, 108, 8), (96, 216, 16), (192, 432, 32))
"""Channels that each stage returns, of its 3-D convolutions, and between the two layers that excite them."""

MEDIUM = (3, 5, 11, 7)
LARGE = (5, 10, 25, 15)
"""Numbers of blocks of each stage: of X3D-XS, S and M, and of X3D-L."""


def x3d(classes: int, blocks: tuple[int, int, int, int] = MEDIUM, *, window: Size | None = None) -> nn.Sequential:
    """Build X3D with random weights. Its blocks are the stem, the four stages and the head.

    Parameters
    ----------
    classes
        Number of classes.
    blocks
        Numbers of blocks of the stages.
    window
        What the head averages over before it classifies; the results of all windows are averaged. Default: everything.

    Examples
    --------
    >>> import torch
    >>> x3d(5, (1, 1, 1, 1)).eval()(torch.zeros(2, 3, 4, 32, 32)).shape
    torch.Size([2, 5])
    """
    channels = STAGES[0][0]
    stages = []
    for count, (returned, inner, squeezed) in zip(blocks, STAGES, strict=True):
        stages.append(x3d_stage(channels, returned, inner, squeezed, count))
        channels = returned
    pooled, features = STAGES[-1][1], 2048
    pool = named(
        pre_conv=convolution(channels, pooled, (1, 1, 1)),
        pre_norm=nn.BatchNorm3d(pooled),
        pre_act=nn.ReLU(),
        pool=average(window),
        post_conv=convolution(pooled, features, (1, 1, 1)),
        post_act=nn.ReLU(),
    )
    return initialized(named(blocks=nn.Sequential(x3d_stem(), *stages, Head(pool, features, classes))))


def x3d_stem() -> nn.Sequential:
    """Return the stem: a convolution over space, then one over time; the names of its parts say the opposite."""
    channels = STAGES[0][0]
    convolutions = named(
        conv_t=convolution(3, channels, (1, 3, 3), (1, 2, 2)),
        conv_xy=convolution(channels, channels, (5, 1, 1), groups=channels),
    )
    return named(conv=convolutions, norm=nn.BatchNorm3d(channels), activation=nn.ReLU())


def x3d_stage(channels: int, returned: int, inner: int, squeezed: int, count: int) -> nn.Sequential:
    """Return a stage of `count` blocks. The first halves height and width; the first, third, … excite channels."""
    blocks = []
    for index in range(count):
        stride = 1 if index else 2
        branch = named(
            conv_a=convolution(channels, inner, (1, 1, 1)),
            norm_a=nn.BatchNorm3d(inner),
            act_a=nn.ReLU(),
            conv_b=convolution(inner, inner, (3, 3, 3), (1, stride, stride), groups=inner),
            norm_b=nn.Sequential(
                nn.BatchNorm3d(inner), nn.Identity() if index % 2 else SqueezeExcitation(inner, squeezed)
            ),
            act_b=nn.SiLU(),
            conv_c=convolution(inner, returned, (1, 1, 1)),
            norm_c=nn.BatchNorm3d(returned),
        )
        blocks.append(Residual(branch, channels, returned, stride))
        channels = returned
    return stage(blocks)


class SqueezeExcitation(nn.Module):
    """Scales channels by factors between 0 and 1 that two layers compute from the channels' averages."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv3d(channels, squeezed, 1), nn.ReLU(), nn.Conv3d(squeezed, channels, 1), nn.Sigmoid()
        )

    def forward(self, clip: Tensor) -> Tensor:
        """Return the scaled clip."""
        factors: Tensor = self.block(clip.mean((2, 3, 4), keepdim=True))
        return clip * factors
