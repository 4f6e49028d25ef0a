"""ResNet-like backbones, split into a stem and four stages; a small backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sdmetrics.errors import InputError
from sdmetrics.probes.torch_hooks import device_and_dtype, evaluating

STAGES = (2, 3, 4, 5)
"""The stages as numbered in the paper: `layer1` of a ResNet is stage 2, whose output is called res2."""

STEM = ("conv1", "bn1", "relu", "maxpool")
SIDE = 64


def take_apart(backbone: nn.Module) -> tuple[nn.Sequential, dict[int, nn.Module]]:
    """Return the stem and the stages, by number, of a backbone that names its parts as torchvision and timm do.

    These names are `conv1`, `bn1`, `relu` (timm: `act1`), `maxpool` and `layer1` to `layer4`. Other parts, e.g. a
    classifier, are ignored.

    Raises
    ------
    InputError
        If parts are missing.

    Examples
    --------
    >>> stem, stages = take_apart(small_resnet())
    >>> len(stem), list(stages)
    (4, [2, 3, 4, 5])
    """
    parts = dict(backbone.named_children())
    stem = ["act1" if name == "relu" and "act1" in parts else name for name in STEM]
    layers = {stage: f"layer{stage - 1}" for stage in STAGES}
    missing = [name for name in (*stem, *layers.values()) if name not in parts]
    if missing:
        raise InputError(
            f"{type(backbone).__name__} has no {', '.join(missing)}; expected: conv1, bn1, relu or act1, maxpool, and "
            "layer1 to layer4, as in the ResNets of torchvision and timm and in sdmetrics.torch.small_resnet"
        )
    return nn.Sequential(*(parts[name] for name in stem)), {stage: parts[name] for stage, name in layers.items()}


def stage_shapes(stem: nn.Module, stages: Mapping[int, nn.Module]) -> dict[int, tuple[int, ...]]:
    """Return the output shape of each stage, `(1, channels, height, width)`, by running a 64 × 64 input.

    Examples
    --------
    >>> stage_shapes(*take_apart(small_resnet(widths=(8, 8, 16, 16))))[5]
    (1, 16, 2, 2)
    """
    device, dtype = device_and_dtype(stem)
    channels = next(part.in_channels for part in stem.modules() if isinstance(part, nn.Conv2d))
    features, shapes = torch.zeros(1, channels, SIDE, SIDE, device=device, dtype=dtype), {}
    whole = nn.ModuleList([stem, *stages.values()])
    with evaluating(whole):
        features = stem(features)
        for stage, part in stages.items():
            features = part(features)
            shapes[stage] = tuple(features.shape)
    return shapes


def small_resnet(widths: Sequence[int] = (16, 24, 32, 64), channels: int = 3) -> nn.ModuleDict:
    """Return the parts of a ResNet with one block per stage, small enough to train on a CPU in minutes.

    Parameters
    ----------
    widths
        Numbers of channels of the four stages, whose resolutions are 1/4 to 1/32 of the input's.
    channels
        Number of input channels: 3 for frames and for flow as an image, 2 for flow as vectors.

    Raises
    ------
    InputError
        If there are not four widths.

    Examples
    --------
    >>> list(small_resnet())
    ['conv1', 'bn1', 'relu', 'maxpool', 'layer1', 'layer2', 'layer3', 'layer4']
    """
    if len(widths) != len(STAGES) or min(widths) < 1:
        raise InputError(f"widths are {tuple(widths)}; expected: four numbers of channels, e.g. (16, 24, 32, 64)")
    first = widths[0]
    parts: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(channels, first, 3, stride=2, padding=1, bias=False),
        "bn1": nn.BatchNorm2d(first),
        "relu": nn.ReLU(),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1),
    }
    for number, (before, width) in enumerate(zip((first, *widths), widths, strict=False), start=1):
        parts[f"layer{number}"] = _Block(before, width, stride=1 if number == 1 else 2)
    return nn.ModuleDict(parts)


class _Block(nn.Module):
    """Two convolutions and a shortcut, which is another convolution if the size changes."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != width:
            self.shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, features: Tensor) -> Tensor:
        summed: Tensor = self.branch(features) + self.shortcut(features)
        return summed.relu()
