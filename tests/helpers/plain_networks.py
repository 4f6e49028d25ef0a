"""Networks that note what their layers return, in axes that are known."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

CLIPS, FRAMES, SIZE = 2, 4, 16

_notes: list[tuple[Any, str]] | None = None


def seen(tensor: Any, axes: str) -> Any:
    """Note a layer's tensor; `F` is time folded into the batch (n · T + t), `B` folded the other way (t · N + n)."""
    if _notes is not None:
        _notes.append((tensor, axes))
    return tensor


@contextlib.contextmanager
def noting() -> Iterator[list[tuple[Any, str]]]:
    """Collect what `seen` is called on."""
    global _notes
    _notes = []
    try:
        yield _notes
    finally:
        _notes = None


@dataclass(frozen=True)
class Truth:
    """A layer as the framework computes it: its values, and its pooled units `(clips, units)`."""

    values: NDArray[np.float64]
    units: NDArray[np.float64]


def truth(notes: list[tuple[Any, str]]) -> list[Truth]:
    """Pool what was noted, by the meaning that its axes were given."""
    found = []
    for tensor, axes in notes:
        values = np.asarray(tensor, np.float64)
        first = axes.index(next(axis for axis in axes if axis in "NFB"))
        rows = np.moveaxis(values, (first, axes.index("C")), (0, -1))
        rows = rows.reshape(len(rows), -1, rows.shape[-1]).mean(1)
        if axes[first] == "B":
            units = rows.reshape(-1, CLIPS, rows.shape[-1]).mean(0)
        else:
            units = rows.reshape(CLIPS, -1, rows.shape[-1]).mean(1)
        found.append(Truth(values, units))
    return found


class ConvNet(nn.Module):
    """Reads `(N, C, T, H, W)`: a residual network with BatchNorm, as most 3-D ResNets."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv3d(a, b, 3, s, 1, bias=False) for a, b, s in [(3, 6, (1, 2, 2)), (6, 8, 1), (8, 8, 1), (6, 8, 1)]
        )
        self.norms = nn.ModuleList(nn.BatchNorm3d(n) for n in (6, 8, 8, 8))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        def layer(index: int, x: Tensor) -> Tensor:
            return seen(self.norms[index](seen(self.convs[index](x), "NCTHW")), "NCTHW")

        x = seen(F.relu(layer(0, x)), "NCTHW")
        inner = seen(F.relu(layer(1, x)), "NCTHW")
        x = seen(F.relu(seen(layer(2, inner) + layer(3, x), "NCTHW")), "NCTHW")
        return seen(self.fc(x.mean((2, 3, 4))), "NC")


class ChannelsLast(nn.Module):
    """Reads `(N, T, H, W, C)`; LayerNorm and linear layers keep the channels last, as in ConvNeXt and Swin."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, width, (1, 4, 4), (1, 4, 4))
        self.depthwise = nn.Conv3d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 10), nn.Linear(10, width)
        self.scale = nn.Parameter(torch.rand(width))
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = seen(self.stem(x.permute(0, 4, 1, 2, 3)), "NCTHW")
        inner = seen(self.depthwise(x), "NCTHW").permute(0, 2, 3, 4, 1)
        inner = seen(self.wide(seen(self.norm(inner), "NTHWC")), "NTHWC")
        inner = seen(self.narrow(seen(F.gelu(inner), "NTHWC")), "NTHWC") * self.scale
        x = seen(x + inner.permute(0, 4, 1, 2, 3), "NCTHW")
        return seen(self.head(x.mean((2, 3, 4))), "NC")


class Attention(nn.Module):
    """Attention over the middle axis of `(B, L, C)`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, axes: str) -> Tensor:
        n, length, width = x.shape
        q, k, v = seen(self.qkv(x), axes).reshape(n, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        mixed = (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v
        return seen(self.proj(mixed.transpose(1, 2).reshape(n, length, width)), axes)


class Tokens(nn.Module):
    """Reads `(N, C, T, H, W)`: tokens of tubes `(N, L, C)`, normalised before or after each part."""

    def __init__(self, first: bool = True, width: int = 12) -> None:
        super().__init__()
        self.first = first
        self.embed = nn.Conv3d(3, width, (2, 4, 4), (2, 4, 4))
        self.cls = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 33, width))
        self.attention = Attention(width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.wide, self.narrow = nn.Linear(width, 20), nn.Linear(20, width)
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = seen(self.embed(x), "NCTHW").flatten(2).transpose(1, 2)
        x = seen(torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.position, "NLC")
        x = self.around(0, x, lambda x: self.attention(x, "NLC"))
        x = self.around(1, x, self.mlp)
        return seen(self.head(x[:, 0]), "NC")

    def around(self, index: int, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        norm = self.norms[index]
        if self.first:
            return seen(x + part(seen(norm(x), "NLC")), "NLC")
        return seen(norm(seen(x + part(x), "NLC")), "NLC")

    def mlp(self, x: Tensor) -> Tensor:
        return seen(self.narrow(seen(F.gelu(seen(self.wide(x), "NLC")), "NLC")), "NLC")


class Frames(nn.Module):
    """Reads `(N, T, C, H, W)`: a 2-D network on frames folded into the batch, n · T + t or t · N + n."""

    def __init__(self, time_major: bool = False) -> None:
        super().__init__()
        self.time_major = time_major
        self.one, self.two = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 7, 3, 1, 1)
        self.fc = nn.Linear(7, 5)

    def forward(self, x: Tensor) -> Tensor:
        n, t = x.shape[:2]
        axes = "BCHW" if self.time_major else "FCHW"
        x = (x.transpose(0, 1) if self.time_major else x).flatten(0, 1)
        x = seen(self.two(seen(F.leaky_relu(seen(self.one(x), axes)), axes)), axes)
        x = seen(F.silu(x), axes).mean((2, 3))
        x = x.reshape(t, n, -1).mean(0) if self.time_major else x.reshape(n, t, -1).mean(1)
        return seen(self.fc(x), "NC")


class Divided(nn.Module):
    """Reads `(N, T, C, H, W)`: attention over space on `(N·T, L, C)`, then over time on `(N·L, T, C)`."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, 4, 4)
        self.space, self.time = Attention(width), Attention(width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        n, t = x.shape[:2]
        x = seen(self.embed(x.flatten(0, 1)), "FCHW").flatten(2).transpose(1, 2)
        x = seen(x + self.space(seen(self.norm(x), "FLC"), "FLC"), "FLC")
        length = x.shape[1]
        x = x.reshape(n, t, length, -1).transpose(1, 2).flatten(0, 1)
        x = seen(x + self.time(x, "FLC"), "FLC")
        x = x.reshape(n, length, t, -1).mean((1, 2))
        return seen(self.head(x), "NC")


class Mobile(nn.Module):
    """Reads `(N, C, T, H, W)`: squeeze and excitation, Swish, GroupNorm, a sum of pathways, as X3D and its kin."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 8, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.norm = nn.GroupNorm(2, 8)
        self.depthwise = nn.Conv3d(8, 8, 3, padding=1, groups=8)
        self.squeeze, self.excite = nn.Conv3d(8, 4, 1), nn.Conv3d(4, 8, 1)
        self.expand = nn.Conv3d(8, 9, 1)
        self.fc = nn.Linear(9, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = seen(F.silu(seen(self.norm(seen(self.stem(x), "NCTHW")), "NCTHW")), "NCTHW")
        inner = seen(F.hardswish(seen(self.depthwise(x), "NCTHW")), "NCTHW")
        gate = seen(F.relu(seen(self.squeeze(inner.mean((2, 3, 4), keepdim=True)), "NCTHW")), "NCTHW")
        gate = seen(torch.sigmoid(seen(self.excite(gate), "NCTHW")), "NCTHW")
        x = seen(x + seen(inner * gate, "NCTHW"), "NCTHW")
        x = seen(F.gelu(seen(self.expand(x), "NCTHW"), approximate="tanh"), "NCTHW")
        return seen(self.fc(F.adaptive_avg_pool3d(x, 1).flatten(1)), "NC")


class Windows(nn.Module):
    """Reads `(N, C, T, H, W)`: attention within windows `(N·windows, tokens, C)`, as Swin, and a mixer of tokens."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.embed = nn.Conv3d(3, width, (1, 4, 4), (1, 4, 4))
        self.attention = Attention(width)
        self.mix = nn.Linear(64, 64)
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = seen(self.embed(x), "NCTHW").permute(0, 2, 3, 4, 1)
        n, t, h, w, c = x.shape
        inner = x.reshape(n, t // 2, 2, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, 8, c)
        inner = self.attention(inner, "FLC").reshape(n, t // 2, h // 2, w // 2, 2, 2, 2, c)
        x = seen(x + inner.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(n, t, h, w, c), "NTHWC")
        x = x.flatten(1, 3).transpose(1, 2)
        x = seen(x + seen(self.mix(x), "NCL"), "NCL")
        return seen(self.head(x.mean(2)), "NC")
