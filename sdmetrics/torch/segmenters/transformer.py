"""Layers of a transformer that reads all pixels of all frames at once: DETR's (Carion et al., ECCV 2020), as in VisTR.

Tokens are `(clips, tokens, channels)`. Positions are added to queries and keys in every layer, and never to values.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TEMPERATURE = 10000
"""Ratio of the longest wave of a position's code to the shortest."""


def sine_positions(frames: int, height: int, width: int, channels: int) -> Tensor:
    """Return a code of when and where each pixel is: sines and cosines of its frame, row and column.

    A third of the channels each, the earlier ones of a third with shorter waves; what three pairs do not fill is 0. The
    three coordinates are scaled such that the last frame, row and column have 2 π, as in the authors' code.

    Returns
    -------
    positions
        float32 `(frames * height * width, channels)`, frame by frame and row by row.

    Examples
    --------
    >>> sine_positions(frames=1, height=2, width=1, channels=6).round(decimals=1)
    tensor([[-0.,  1.,  0., -1., -0.,  1.],
            [-0.,  1., -0.,  1., -0.,  1.]])
    """
    each = channels // 6 * 2
    waves = TEMPERATURE ** (torch.arange(0, each, 2) / each)
    codes = []
    for axis, length in enumerate((frames, height, width)):
        angles = 2 * math.pi * torch.arange(1, length + 1) / (length + 1e-6)
        turns = angles[:, None] / waves
        code = torch.stack([turns.sin(), turns.cos()], dim=2).flatten(1)
        placed = code.reshape([length if other == axis else 1 for other in range(3)] + [each])
        codes.append(placed.expand(frames, height, width, each))
    return functional.pad(torch.cat(codes, dim=3).flatten(0, 2), (0, channels - 3 * each))


class Attention(nn.Module):
    """Queries look at keys, with several heads, and take from the values what they see.

    Parameters
    ----------
    channels, heads
        Width of the tokens, and among how many heads it is split.
    dropout
        Share of the attention that is dropped in training.

    Examples
    --------
    >>> look, pixels = Attention(12, heads=2), torch.zeros(3, 5, 12)
    >>> look(torch.zeros(3, 2, 12), pixels, pixels).shape
    torch.Size([3, 2, 12])
    """

    def __init__(self, channels: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        # One projection for all three, as in nn.MultiheadAttention, is cut apart in every run of an exported model.
        self.query, self.key, self.value, self.out = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return what queries `(N, queries, channels)` see of keys and values, both `(N, tokens, channels)`."""
        dropout = self.dropout if self.training else 0.0
        projected = (self.query(queries), self.key(keys), self.value(values))
        # One head after the other: an exported model writes down all tokens by all, 150 MB a clip and head of VisTR.
        heads = zip(*(part[:, None].chunk(self.heads, dim=3) for part in projected), strict=True)
        seen = [
            functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout) for query, key, value in heads
        ]
        taken: Tensor = self.out(torch.cat(seen, dim=3)[:, 0])
        return taken


class EncoderLayer(nn.Module):
    """Every pixel looks at all pixels of all frames, then thinks alone; returns the new tokens.

    Parameters
    ----------
    channels, heads, hidden
        Width of the tokens, attention heads, and width between the two layers of the second step.
    dropout
        Share of what either step adds that is dropped in training.

    Examples
    --------
    >>> EncoderLayer(12, heads=2, hidden=16)(torch.zeros(3, 5, 12), torch.zeros(5, 12)).shape
    torch.Size([3, 5, 12])
    """

    def __init__(self, channels: int, heads: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = Attention(channels, heads, dropout)
        self.norm1 = nn.LayerNorm(channels)
        self.feedforward = _feedforward(channels, hidden, dropout)
        self.norm2 = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)
        _start_even(self)

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Turn tokens `(N, tokens, channels)` at `positions` `(tokens, channels)` into others."""
        placed = tokens + positions
        tokens = self.norm1(tokens + self.dropout(self.attention(placed, placed, tokens)))
        changed: Tensor = self.norm2(tokens + self.dropout(self.feedforward(tokens)))
        return changed


class DecoderLayer(nn.Module):
    """Every query looks at all queries, then at the encoded pixels, then thinks alone; returns what they found.

    Parameters
    ----------
    channels, heads, hidden, dropout
        As in `EncoderLayer`.

    Examples
    --------
    >>> layer, found, pixels = DecoderLayer(12, heads=2, hidden=16), torch.zeros(3, 2, 12), torch.zeros(3, 5, 12)
    >>> layer(found, pixels, torch.zeros(5, 12), queries=torch.zeros(2, 12)).shape
    torch.Size([3, 2, 12])
    """

    def __init__(self, channels: int, heads: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = Attention(channels, heads, dropout)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attention = Attention(channels, heads, dropout)
        self.norm2 = nn.LayerNorm(channels)
        self.feedforward = _feedforward(channels, hidden, dropout)
        self.norm3 = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)
        _start_even(self)

    def forward(self, found: Tensor, pixels: Tensor, positions: Tensor, queries: Tensor) -> Tensor:
        """Turn what the queries have found so far, `(N, queries, channels)`, into more.

        `pixels` `(N, tokens, channels)` are encoded; `positions` `(tokens, channels)` and `queries`
        `(queries, channels)` say which is which.
        """
        placed = found + queries
        found = self.norm1(found + self.dropout(self.attention(placed, placed, found)))
        seen = self.cross_attention(found + queries, pixels + positions, pixels)
        found = self.norm2(found + self.dropout(seen))
        changed: Tensor = self.norm3(found + self.dropout(self.feedforward(found)))
        return changed


def _feedforward(channels: int, hidden: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, channels))


def _start_even(layer: nn.Module) -> None:
    """Let every matrix keep the scale of what it is given, as the authors do."""
    for weights in layer.parameters():
        if weights.ndim > 1:
            nn.init.xavier_uniform_(weights)
