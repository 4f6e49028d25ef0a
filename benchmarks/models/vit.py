"""A transformer of the size of VideoMAE-B (16 frames of 224², 1,568 tokens) with random weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from sdmetrics.probes.inputs import ModelInput

INPUT = ModelInput("video", frames=16, stride=4, size=(224, 224))


class Block(nn.Module):
    """Attention and two layers, each after a normalisation."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.read, self.write = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        clips, count, width = tokens.shape
        read = self.read(self.before(tokens)).view(clips, count, 3, self.heads, -1)
        query, key, value = read.permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(clips, count, width)
        tokens = tokens + self.write(mixed)
        return tokens + self.layers(self.after(tokens))


class VideoTransformer(nn.Module):
    """Tokens of 2 × 16 × 16 pixels, blocks, and scores of their mean."""

    def __init__(self, blocks: int, width: int, frames: int, side: int) -> None:
        super().__init__()
        self.cut = nn.Conv3d(3, width, (2, 16, 16), (2, 16, 16))
        self.place = nn.Parameter(0.02 * torch.randn(1, frames // 2 * (side // 16) ** 2, width))
        self.blocks = nn.ModuleList(Block(width, width // 64) for _ in range(blocks))
        self.scores = nn.Linear(width, 400)

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        tokens = self.cut(video).flatten(2).transpose(1, 2) + self.place
        for block in self.blocks:
            tokens = block(tokens)
        scores: torch.Tensor = self.scores(tokens.mean(1))
        return scores


def video_transformer(blocks: int = 12, width: int = 768, item: ModelInput = INPUT, seed: int = 0) -> VideoTransformer:
    """Return the network for an input of square frames."""
    torch.manual_seed(seed)
    return VideoTransformer(blocks, width, item.frames, item.size[0]).eval()
