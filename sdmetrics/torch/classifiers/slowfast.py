"""SlowFast, a 3-D ResNet for few frames and a narrow one for many (Feichtenhofer et al., ICCV 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdmetrics.torch.classifiers.resnet3d import (
    DEPTHS,
    STRIDES,
    Head,
    Kernels,
    Size,
    average,
    convolution,
    initialized,
    resnet_stage,
    resnet_stem,
)

Pair = tuple[Tensor, Tensor]
"""Tensors of the slow and of the fast pathway."""

NARROWER = 8
"""How many times fewer channels the fast pathway has."""

SLOW: Kernels = ((1,), (1,), (3,), (3,))
FAST: Kernels = ((3,), (3,), (3,), (3,))


class SlowFast(nn.Module):
    """Classifies a clip at two frame rates.

    Its blocks are the stems and the four pairs of stages, all but the last of which are followed by a lateral
    connection from the fast to the slow pathway; then the pooling of both pathways and the head.

    Parameters
    ----------
    classes
        Number of classes.
    ratio
        How many times more frames the fast pathway reads.
    fusion
        Temporal kernel size of the lateral connections.
    depth
        18, 50 or 101.
    windows
        What is averaged over in the slow and in the fast pathway before the head classifies; the results of all windows
        are averaged. Default: everything.
    rectified
        Whether the lateral connections are normalised and rectified, as in SlowFast's own code.

    Examples
    --------
    >>> network = SlowFast(5, 4, 7, depth=18).eval()
    >>> network(torch.zeros(2, 3, 2, 32, 32), torch.zeros(2, 3, 8, 32, 32)).shape
    torch.Size([2, 5])
    >>> [block.out_channels for block in network.modules() if isinstance(block, nn.Conv3d)][:3]
    [64, 8, 16]
    """

    def __init__(
        self,
        classes: int,
        ratio: int,
        fusion: int,
        *,
        depth: int = 50,
        windows: tuple[Size, Size] | None = None,
        rectified: bool = True,
    ) -> None:
        super().__init__()
        slow, fast, returned = 64, 64 // NARROWER, 4 * 64
        lateral: nn.Module = Lateral(fast, ratio, fusion, rectified=rectified)
        blocks: list[nn.Module] = [Pathways(resnet_stem(slow, 1), resnet_stem(fast, 5), lateral)]
        for slow_kernels, fast_kernels, count, stride in zip(SLOW, FAST, DEPTHS[depth], STRIDES, strict=True):
            narrow, last = returned // NARROWER, len(blocks) == len(SLOW)
            slow_stage = resnet_stage(slow + 2 * fast, returned, slow_kernels, count, stride)
            fast_stage = resnet_stage(fast, narrow, fast_kernels, count, stride)
            lateral = nn.Identity() if last else Lateral(narrow, ratio, fusion, rectified=rectified)
            blocks.append(Pathways(slow_stage, fast_stage, lateral))
            slow, fast, returned = returned, narrow, 2 * returned
        self.blocks = nn.Sequential(*blocks, PooledPathways(windows), Head(None, slow + fast, classes))
        initialized(self)

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        """Return the logits `(N, classes)` of two clips `(N, 3, T, H, W)`."""
        logits: Tensor = self.blocks((slow, fast))
        return logits


class Pathways(nn.Module):
    """One module for each pathway, and what connects them afterwards."""

    def __init__(self, slow: nn.Module, fast: nn.Module, fusion: nn.Module) -> None:
        super().__init__()
        self.multipathway_blocks = nn.ModuleList([slow, fast])
        self.multipathway_fusion = fusion

    def forward(self, pair: Pair) -> Pair:
        """Return the pair after the modules and the connection."""
        slow, fast = (block(clip) for block, clip in zip(self.multipathway_blocks, pair, strict=True))
        joined: Pair = self.multipathway_fusion((slow, fast))
        return joined


class Lateral(nn.Module):
    """Appends to the slow pathway's channels a convolution of the fast one's, with twice as many channels.

    Parameters
    ----------
    channels
        Channels of the fast pathway.
    ratio
        How many times more frames the fast pathway has.
    frames
        Temporal kernel size of the convolution.
    rectified
        Whether the convolution is normalised and rectified.
    """

    def __init__(self, channels: int, ratio: int, frames: int, *, rectified: bool) -> None:
        super().__init__()
        self.conv_fast_to_slow = convolution(channels, 2 * channels, (frames, 1, 1), (ratio, 1, 1))
        self.norm = nn.BatchNorm3d(2 * channels) if rectified else nn.Identity()
        self.activation = nn.ReLU() if rectified else nn.Identity()

    def forward(self, pair: Pair) -> Pair:
        """Return the pair with the wider slow tensor."""
        slow, fast = pair
        fused = self.activation(self.norm(self.conv_fast_to_slow(fast)))
        return torch.cat([slow, fused], dim=1), fast


class PooledPathways(nn.Module):
    """Averages each pathway and concatenates the channels, those of the slow one first."""

    def __init__(self, windows: tuple[Size, Size] | None) -> None:
        super().__init__()
        self.pool = nn.ModuleList([average(None), average(None)] if windows is None else map(average, windows))

    def forward(self, pair: Pair) -> Tensor:
        """Return the features of both pathways."""
        return torch.cat([pool(clip) for pool, clip in zip(self.pool, pair, strict=True)], dim=1)
