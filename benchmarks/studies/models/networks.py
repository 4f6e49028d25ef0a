"""The architectures of the studies: small relatives of the paper's, all for clips of 8 frames of 32 × 32 pixels.

They differ in the same respects as the paper's: where a kernel reaches over time, how many frames and channels a
pathway has, and whether pathways are connected. Each ends in pooled features, `dropout`, and the linear layer `fc`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdmetrics.probes.inputs import ModelInput

FRAMES, SIZE = 8, 32
CHANNELS = (16, 16, 24, 48, 96)
"""Of the stem and the four stages."""
FAST_SHARE = 4
"""A fast pathway has one in so many channels."""
STAGES = ("stem", "stage1", "stage2", "stage3", "stage4")


def video_input(name: str = "video", frames: int = FRAMES, layout: str = "NCTHW") -> ModelInput:
    """Return the description of a network's input."""
    return ModelInput(name, frames=frames, stride=FRAMES // frames, size=(SIZE, SIZE), layout=layout)


class Block(nn.Module):
    """Two convolutions beside a shortcut; `reach` is their kernels' extent over time."""

    def __init__(self, channels_in: int, channels_out: int, reach: int, stride: int) -> None:
        super().__init__()
        kernel, padding, strides = (reach, 3, 3), (reach // 2, 1, 1), (1, stride, stride)
        self.conv1 = nn.Conv3d(channels_in, channels_out, kernel, strides, padding, bias=False)
        self.norm1 = nn.BatchNorm3d(channels_out)
        self.conv2 = nn.Conv3d(channels_out, channels_out, kernel, 1, padding, bias=False)
        self.norm2 = nn.BatchNorm3d(channels_out)
        self.shortcut = nn.Sequential(
            nn.Conv3d(channels_in, channels_out, 1, strides, bias=False), nn.BatchNorm3d(channels_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) to the block's channels and stride."""
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Pathway(nn.Module):
    """A stem and four stages of one block each; `reach` is the extent of their kernels over time."""

    def __init__(self, reach: Sequence[int], share: int = 1, extra: Sequence[int] = (0, 0, 0, 0)) -> None:
        super().__init__()
        widths = [width // share for width in CHANNELS]
        self.stem = nn.Sequential(
            nn.Conv3d(3, widths[0], (reach[0], 5, 5), (1, 2, 2), (reach[0] // 2, 2, 2), bias=False),
            nn.BatchNorm3d(widths[0]),
            nn.ReLU(),
        )
        for number in range(1, 5):
            width = widths[number - 1] + extra[number - 1]
            block = Block(width, widths[number], reach[number], stride=1 if number == 1 else 2)
            self.add_module(f"stage{number}", block)
        self.widths = widths

    def forward(self, video: Tensor) -> Tensor:
        """(N, 3, T, H, W) to (N, C, T, H', W')."""
        x = video
        for stage in self.children():
            x = stage(x)
        return x


class OnePathway(nn.Module):
    """A network of one pathway."""

    def __init__(self, classes: int, frames: int, reach: Sequence[int], share: int = 1) -> None:
        super().__init__()
        self.inputs = (video_input(frames=frames),)
        self.layers = tuple(f"pathway.{stage}" for stage in STAGES)
        self.pathway = Pathway(reach, share)
        self.features = self.pathway.widths[-1]
        self.dropout: nn.Module = nn.Identity()
        self.fc = nn.Linear(self.features, classes)

    def forward(self, video: Tensor) -> Tensor:
        """(N, 3, T, H, W) to (N, classes)."""
        logits: Tensor = self.fc(self.dropout(self.pathway(video).mean((2, 3, 4))))
        return logits


class SlowFast(nn.Module):
    """A slow pathway of every second frame and a thin fast one of all, with lateral connections or without."""

    def __init__(self, classes: int, lateral: bool) -> None:
        super().__init__()
        self.inputs = (video_input("slow", FRAMES // 2), video_input("fast"))
        self.layers = tuple(f"{pathway}.{stage}" for pathway in ("slow", "fast") for stage in STAGES)
        self.fast = Pathway((3, 3, 3, 3, 3), FAST_SHARE)
        joined = [2 * width if lateral else 0 for width in self.fast.widths[:4]]
        self.slow = Pathway((1, 1, 1, 3, 3), extra=joined)
        self.lateral = nn.ModuleList(
            nn.Conv3d(width, 2 * width, (5, 1, 1), (2, 1, 1), (2, 0, 0), bias=False)
            for width in self.fast.widths[:4]
            if lateral
        )
        self.features = self.slow.widths[-1] + self.fast.widths[-1]
        self.dropout: nn.Module = nn.Identity()
        self.fc = nn.Linear(self.features, classes)

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        """(N, 3, T/2, H, W) and (N, 3, T, H, W) to (N, classes)."""
        for number, (slow_stage, fast_stage) in enumerate(zip(self.slow.children(), self.fast.children(), strict=True)):
            slow, fast = slow_stage(slow), fast_stage(fast)
            if number < len(self.lateral):
                slow = torch.cat([slow, self.lateral[number](fast)], dim=1)
        features = torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], dim=1)
        logits: Tensor = self.fc(self.dropout(features))
        return logits


class SmallTimeSformer(nn.Module):
    """Transformers' TimeSformer, divided space–time attention, four blocks."""

    def __init__(self, classes: int) -> None:
        from transformers import TimesformerConfig, TimesformerModel

        super().__init__()
        self.features = 96
        self.inputs = (video_input(layout="NTCHW"),)
        self.layers = tuple(f"timesformer.encoder.layer.{block}" for block in range(4))
        self.timesformer = TimesformerModel(
            TimesformerConfig(
                image_size=SIZE,
                patch_size=8,
                num_frames=FRAMES,
                hidden_size=self.features,
                num_hidden_layers=4,
                num_attention_heads=4,
                intermediate_size=2 * self.features,
                attention_type="divided_space_time",
            )
        )
        # Their default is zero, and without times and places the model learns slowly from scratch.
        for embeddings in ("time_embeddings", "position_embeddings"):
            nn.init.trunc_normal_(getattr(self.timesformer.embeddings, embeddings), std=0.2)
        self.dropout: nn.Module = nn.Identity()
        self.fc = nn.Linear(self.features, classes)

    def forward(self, video: Tensor) -> Tensor:
        """(N, T, 3, H, W) to (N, classes)."""
        tokens: Tensor = self.timesformer(video).last_hidden_state
        logits: Tensor = self.fc(self.dropout(tokens[:, 0]))
        return logits


NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "c2d": lambda classes: OnePathway(classes, FRAMES, (1, 1, 1, 1, 1)),
    "i3d": lambda classes: OnePathway(classes, FRAMES, (1, 3, 3, 3, 3)),
    "slowonly": lambda classes: OnePathway(classes, FRAMES // 2, (1, 1, 1, 3, 3)),
    "fastonly": lambda classes: OnePathway(classes, FRAMES, (3, 3, 3, 3, 3), FAST_SHARE),
    "slowfast": lambda classes: SlowFast(classes, lateral=True),
    "slowfast_unconnected": lambda classes: SlowFast(classes, lateral=False),
    "timesformer": SmallTimeSformer,
}
