"""Residual networks as mmaction2 builds them: I3D, C2D, TSN and TSM.

The weights of TSN, TSM and C2D, which convolve every frame by itself, have no axis for time in mmaction2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from sdmetrics.torch.classifiers.resnet3d import Kernels, Residual, named, resnet3d

FRAMES: Kernels = ((1,), (1,), (1,), (1,))
"""Kernels of networks that convolve every frame by itself."""

SHARE = 8
"""One channel of so many is shifted to the frame before, and one to the frame after."""


def recognizer(
    classes: int,
    kernels: Kernels = FRAMES,
    *,
    depth: int = 50,
    width: int = 64,
    stem: int = 1,
    stem_strides: tuple[int, int] = (1, 1),
    pool: int = 1,
    padded: bool = True,
    shifted: bool = False,
) -> nn.Sequential:
    """Build a residual network with random weights. Its features are averaged over time and space, then classified.

    Parameters
    ----------
    classes, kernels, depth, width, stem, stem_strides, pool
        See `resnet3d`. Default: TSN, whose only connection of frames is the average.
    padded
        Whether the stem's pooling also has the margin of the frames; C2D's has not.
    shifted
        Whether each bottleneck sees some channels of the frames before and after: TSM.

    Examples
    --------
    >>> recognizer(5, width=8, shifted=True).eval()(torch.zeros(2, 3, 4, 32, 32)).shape
    torch.Size([2, 5])
    """
    network = resnet3d(
        classes, kernels, depth=depth, width=width, stem=stem, stem_strides=stem_strides, pool=pool
    ).get_submodule("blocks")
    *parts, _ = network.children()
    names = ["stem", "res2", *(["pool"] if pool > 1 else []), "res3", "res4", "res5"]
    backbone = named(**dict(zip(names, parts, strict=True)))
    if not padded:
        backbone.get_submodule("stem").pool = nn.MaxPool3d((1, 3, 3), (stem_strides[1], 2, 2))
    for block in [part for part in backbone.modules() if shifted and isinstance(part, Residual)]:
        block.branch2.conv_a = named(shift=Shift(), net=block.branch2.get_submodule("conv_a"))
    return named(backbone=backbone, cls_head=classifier(32 * width, classes))


def classifier(features: int, classes: int) -> nn.Sequential:
    """Return a head that averages `features` channels over time and space, and classifies the average."""
    return named(
        pool=nn.AdaptiveAvgPool3d(1), flat=nn.Flatten(), dropout=nn.Dropout(0.5), fc_cls=nn.Linear(features, classes)
    )


class Shift(nn.Module):
    """Shifts an eighth of the channels to the frame before, and the next eighth to the frame after (Lin et al., 2019).

    Examples
    --------
    >>> clip = torch.arange(1.0, 17).reshape(1, 8, 2, 1, 1)
    >>> Shift()(clip)[0, :3, :, 0, 0]
    tensor([[2., 0.],
            [0., 3.],
            [5., 6.]])
    """

    def forward(self, clip: Tensor) -> Tensor:
        """Return the clip `(N, C, T, H, W)` with shifted channels; those that come from outside are 0."""
        share = clip.shape[1] // SHARE
        earlier = pad(clip[:, :share, 1:], (0, 0, 0, 0, 0, 1))
        later = pad(clip[:, share : 2 * share, :-1], (0, 0, 0, 0, 1, 0))
        return torch.cat([earlier, later, clip[:, 2 * share :]], dim=1)
