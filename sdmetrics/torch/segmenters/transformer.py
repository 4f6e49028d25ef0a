"""Transformer layers over all pixels of all frames: DETR's (Carion et al., ECCV 2020), as used in VisTR.

Tokens are `(clips, tokens, channels)`. Positions are added to queries and keys in every layer, and never to values.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TEMPERATURE = 10000
"""Ratio of the longest to the shortest wavelength of the position encoding."""


def sine_positions(frames: int, height: int, width: int, channels: int) -> Tensor:
    """Return the position encoding of every pixel: sines and cosines of its frame, row and column.

    Each of the three coordinates gets a third of the channels, ordered from short to long wavelengths; if the number of
    channels is not a multiple of 6, the rest is 0. Coordinates are scaled so that the last frame, row and column are at
    2 π, as in the authors' code.

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
    """Multi-head attention.

    Parameters
    ----------
    channels, heads
        Width of the tokens, and the number of heads it is split among.
    dropout
        Dropout rate of the attention weights in training.

    Examples
    --------
    >>> look, pixels = Attention(12, heads=2), torch.zeros(3, 5, 12)
    >>> look(torch.zeros(3, 2, 12), pixels, pixels).shape
    torch.Size([3, 2, 12])
    """

    def __init__(self, channels: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        # A joint projection, as in nn.MultiheadAttention, would be split again in every run of an exported model.
        self.query, self.key, self.value, self.out = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend from queries `(N, queries, channels)` to keys and values `(N, tokens, channels)`."""
        dropout = self.dropout if self.training else 0.0
        projected = (self.query(queries), self.key(keys), self.value(values))
        # One head at a time: an exported model stores all tokens × tokens, 150 MB per clip and head in VisTR.
        heads = zip(*(part[:, None].chunk(self.heads, dim=3) for part in projected), strict=True)
        attended = [
            functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout) for query, key, value in heads
        ]
        output: Tensor = self.out(torch.cat(attended, dim=3)[:, 0])
        return output


class EncoderLayer(nn.Module):
    """Encoder layer: global self-attention over space and time, then a feed-forward network.

    Parameters
    ----------
    channels, heads, hidden
        Width of the tokens, number of attention heads, and width of the feed-forward network's hidden layer.
    dropout
        Dropout rate in training: of the attention weights, the hidden layer and both residual branches.

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
        _init_xavier(self)

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Return the new tokens, given tokens `(N, tokens, channels)` and `positions` `(tokens, channels)`."""
        placed = tokens + positions
        tokens = self.norm1(tokens + self.dropout(self.attention(placed, placed, tokens)))
        changed: Tensor = self.norm2(tokens + self.dropout(self.feedforward(tokens)))
        return changed


class DecoderLayer(nn.Module):
    """Decoder layer: self-attention of the queries, cross-attention to the pixels, then a feed-forward network.

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
        _init_xavier(self)

    def forward(self, found: Tensor, pixels: Tensor, positions: Tensor, queries: Tensor) -> Tensor:
        """Return the new query features, given those of the previous layer, `found` `(N, queries, channels)`.

        `pixels` `(N, tokens, channels)` are the encoder's tokens, `positions` `(tokens, channels)` their encoding, and
        `queries` `(queries, channels)` the learned query embeddings.
        """
        placed = found + queries
        found = self.norm1(found + self.dropout(self.attention(placed, placed, found)))
        seen = self.cross_attention(found + queries, pixels + positions, pixels)
        found = self.norm2(found + self.dropout(seen))
        changed: Tensor = self.norm3(found + self.dropout(self.feedforward(found)))
        return changed


def _feedforward(channels: int, hidden: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, channels))


def _init_xavier(layer: nn.Module) -> None:
    """Initialise every matrix by Glorot's uniform distribution, as the authors do."""
    for weights in layer.parameters():
        if weights.ndim > 1:
            nn.init.xavier_uniform_(weights)
