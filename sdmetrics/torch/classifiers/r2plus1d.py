"""R(2+1)D, a 3-D ResNet that convolves over space, then over time (Tran et al., CVPR 2018), as mmaction2 builds it.

Its parts are named as in mmaction2, so its checkpoints fit as they are. The other R(2+1)D of the catalogue, of depth
18, is torchvision's, which has other widths and no pooling in its stem.
"""

from __future__ import annotations

from torch import Tensor, nn

from sdmetrics.torch.classifiers.mmaction2 import classifier
from sdmetrics.torch.classifiers.resnet3d import STRIDES, Size, convolution, initialized, named

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
EPS = 1e-3
"""What mmaction2 adds to variances, except inside of factorized convolutions."""


def r2plus1d(classes: int, *, depth: int = 34, width: int = 64) -> nn.Sequential:
    """Build R(2+1)D with random weights.

    Parameters
    ----------
    classes
        Number of classes.
    depth
        18 or 34.
    width
        Channels of the stem and the first stage. Each later stage has twice as many as the one before.

    Examples
    --------
    >>> import torch
    >>> r2plus1d(5, depth=18, width=8).eval()(torch.zeros(2, 3, 8, 32, 32)).shape
    torch.Size([2, 5])
    """
    parts = {
        "conv1": factorized(3, width, (3, 7, 7), (1, 2, 2), rectified=True),
        "maxpool": nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    }
    channels = width
    for index, (count, stride) in enumerate(zip(DEPTHS[depth], STRIDES, strict=True)):
        returned = width * 2**index
        blocks = [Basic(channels, returned, stride), *(Basic(returned, returned, 1) for _ in range(1, count))]
        parts[f"layer{index + 1}"], channels = nn.Sequential(*blocks), returned
    return initialized(named(backbone=named(**parts), cls_head=classifier(channels, classes)))


def factorized(channels: int, returned: int, kernel: Size, stride: Size, *, rectified: bool = False) -> nn.Sequential:
    """Return a convolution over space and one over time, normalised. It has as many weights as one over both."""
    (frames, height, width), (stride_t, stride_h, stride_w) = kernel, stride
    area = height * width
    inner = 3 * channels * returned * area // (channels * area + 3 * returned)
    conv = named(
        conv_s=convolution(channels, inner, (1, height, width), (1, stride_h, stride_w)),
        bn_s=nn.BatchNorm3d(inner),
        relu=nn.ReLU(),
        conv_t=convolution(inner, returned, (frames, 1, 1), (stride_t, 1, 1)),
    )
    return named(conv=conv, bn=nn.BatchNorm3d(returned, eps=EPS), activate=nn.ReLU() if rectified else nn.Identity())


class Basic(nn.Module):
    """Adds two factorized convolutions to their own input, which a third one adapts where the size changes.

    Parameters
    ----------
    channels, returned
        Channels that it reads and returns.
    stride
        By how much it reduces the number of frames, their height and their width.
    """

    def __init__(self, channels: int, returned: int, stride: int) -> None:
        super().__init__()
        adapts, strides = channels != returned or stride > 1, (stride, stride, stride)
        self.conv1 = factorized(channels, returned, (3, 3, 3), strides, rectified=True)
        self.conv2 = factorized(returned, returned, (3, 3, 3), (1, 1, 1))
        self.downsample = factorized(channels, returned, (1, 1, 1), strides) if adapts else nn.Identity()
        self.relu = nn.ReLU()
        # In evaluation nothing normalises random weights.
        nn.init.constant_(self.conv2.get_submodule("bn").get_parameter("weight"), 0.5)

    def forward(self, clip: Tensor) -> Tensor:
        """Return the sum, without what is below zero."""
        rectified: Tensor = self.relu(self.conv2(self.conv1(clip)) + self.downsample(clip))
        return rectified
