"""Small torch models whose layers the tests export, probe and hook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdmetrics.exporters.torch import export
from sdmetrics.probes.inputs import ModelInput
from tests.helpers.exports import made_once


class Residual(nn.Module):
    """A residual block with what is hard to export: in-place ReLU used twice, in-place sum, Identity."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(width, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv3d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(out)
        self.drop = nn.Dropout(0.5)
        self.same = nn.Identity()
        self.shortcut = nn.Sequential(nn.Conv3d(width, out, 1, stride, bias=False), nn.BatchNorm3d(out))

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.same(self.drop(self.bn2(self.conv2(out))))
        out += self.shortcut(x)
        return self.relu(out)


class ResNet3d(nn.Module):
    """Reads `(N, C, T, H, W)`: a stem and four stages of one block."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 6, (3, 5, 5), (1, 2, 2), (1, 2, 2), bias=False),
            nn.BatchNorm3d(6),
            nn.ReLU(inplace=True),
        )
        self.layer1 = nn.Sequential(Residual(6, 6, 1))
        self.layer2 = nn.Sequential(Residual(6, 8, 2))
        self.layer3 = nn.Sequential(Residual(8, 10, 1))
        self.layer4 = nn.Sequential(Residual(10, 12, 2))
        self.fc = nn.Linear(12, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(x.mean((2, 3, 4)))


class Block(nn.Module):
    """A transformer block `(N, L, C)`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(mixed.transpose(1, 2).reshape(n, length, width))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Reads `(N, C, T, H, W)`, cuts it into tubes and returns a dict, as models of Transformers do."""

    def __init__(self, width: int = 16, depth: int = 2, tokens: int = 2 * 4 * 4, classes: int = 5) -> None:
        super().__init__()
        self.embed = nn.Conv3d(3, width, (2, 8, 8), (2, 8, 8))
        self.cls = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, tokens + 1, width))
        self.blocks = nn.ModuleList(Block(width, heads=2) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.position
        for block in self.blocks:
            x = block(x)
        return {"logits": self.head(self.norm(x)[:, 0])}


class Framewise(nn.Module):
    """A 2-D network on the frames of `(N, T, C, H, W)`, folded into the batch: n · T + t, or t · N + n."""

    def __init__(self, time_major: bool = False, classes: int = 5) -> None:
        super().__init__()
        self.time_major = time_major
        self.conv = nn.Conv2d(3, 8, 5, 2, 2)
        self.act = nn.LeakyReLU()
        self.deep = nn.Conv2d(8, 10, 3, 2, 1)
        self.fc = nn.Linear(10, classes)

    def forward(self, x: Tensor) -> Tensor:
        n, t = x.shape[:2]
        x = (x.transpose(0, 1) if self.time_major else x).flatten(0, 1)
        x = self.deep(self.act(self.conv(x))).mean((2, 3))
        x = x.reshape(t, n, -1).mean(0) if self.time_major else x.reshape(n, t, -1).mean(1)
        return self.fc(x)


def seeded(make: type[nn.Module], **arguments: object) -> nn.Module:
    """Return a model with fixed random weights, those of its BatchNorms and their statistics included."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make(**arguments)
        for part in model.modules():
            if isinstance(part, nn.BatchNorm3d):
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias)
                nn.init.normal_(part.running_mean)
                nn.init.uniform_(part.running_var, 0.5, 1.5)
    return model


def video_input(layout: str = "NCTHW", name: str = "video") -> ModelInput:
    """What the models of this file read."""
    return ModelInput(name, frames=4, stride=1, size=(32, 32), layout=layout)


@dataclass(frozen=True)
class Case:
    """A model, how it is fed, and layers of every kind that it has."""

    make: Callable[[], nn.Module]
    inputs: tuple[ModelInput, ...]
    layers: tuple[str, ...]


CASES = {
    "resnet": Case(
        lambda: seeded(ResNet3d),
        (video_input(),),
        (
            *("stem.0", "stem", "layer1.0.conv1", "layer1.0.bn1", "layer1.0.bn2", "layer1.0.drop"),
            *("layer1.0.same", "layer1.0.shortcut", "layer1.0", "layer1", "layer2", "layer4", "fc"),
        ),
    ),
    "transformer": Case(
        lambda: seeded(Transformer),
        (video_input(),),
        ("embed", "blocks.0.norm1", "blocks.0.qkv", "blocks.0.mlp", "blocks.0", "blocks.1", "norm", "head"),
    ),
    "framewise": Case(lambda: seeded(Framewise), (video_input("NTCHW"),), ("conv", "act", "deep", "fc")),
    "time-major": Case(
        lambda: seeded(Framewise, time_major=True), (video_input("NTCHW"),), ("conv", "act", "deep", "fc")
    ),
}


def _export(case: str, path: Path) -> Path:
    chosen = CASES[case]
    return export(chosen.make(), chosen.inputs, chosen.layers, path)


exported, probed = made_once(_export)


def hooked(
    module: nn.Module,
    names: Sequence[str],
    arrays: Sequence[NDArray[np.float32]],
    masks: Mapping[str, Tensor] | None = None,
) -> tuple[object, dict[str, NDArray[np.float32]]]:
    """Return what a module and its parts return, with plain hooks; a mask multiplies what a part returns."""
    taps: dict[str, NDArray[np.float32]] = {}

    def hook_of(name: str) -> Callable[[nn.Module, object, Tensor], Tensor]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            taps[name] = output.detach().numpy().copy()
            return output * (masks or {}).get(name, torch.ones(()))

        return hook

    parts = dict(module.named_modules())
    handles = [parts[name].register_forward_hook(hook_of(name)) for name in names]
    module.eval()
    with torch.no_grad():
        own = module(*(torch.from_numpy(array) for array in arrays))
    for handle in handles:
        handle.remove()
    return own, taps
