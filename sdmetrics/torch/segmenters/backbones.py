"""ResNet-like backbones, taken apart into a stem and four stages; and a small one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sdmetrics.errors import InputError
from sdmetrics.probes.torch_hooks import evaluating, place_of

STAGES = (2, 3, 4, 5)
"""The stages by the paper's numbers: `layer1` of a ResNet is stage 2, whose output the field calls res2."""

STEM = ("conv1", "bn1", "relu", "maxpool")
SIDE = 64


def take_apart(backbone: nn.Module) -> tuple[nn.Sequential, dict[int, nn.Module]]:
    """Return the stem and the stages, by number, of a backbone that names its parts as torchvision and timm do.

    Those names are `conv1`, `bn1`, `relu` (timm: `act1`), `maxpool` and `layer1` to `layer4`. What else it has, such
    as a classifier, is left.

    Raises
    ------
    InputError
        If parts are missing: by name.

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
            f"{type(backbone).__name__} has no {', '.join(missing)}; needed: conv1, bn1, relu or act1, maxpool, and "
            "layer1 to layer4, as the ResNets of torchvision and timm have them, and sdmetrics.torch.small_resnet"
        )
    return nn.Sequential(*(parts[name] for name in stem)), {stage: parts[name] for stage, name in layers.items()}


def stage_shapes(stem: nn.Module, stages: Mapping[int, nn.Module]) -> dict[int, tuple[int, ...]]:
    """Return what each stage makes of one square input of 64 pixels, `(1, channels, height, width)`, by trying.

    Examples
    --------
    >>> stage_shapes(*take_apart(small_resnet(widths=(8, 8, 16, 16))))[5]
    (1, 16, 2, 2)
    """
    device, dtype = place_of(stem)
    reads = next(part.in_channels for part in stem.modules() if isinstance(part, nn.Conv2d))
    features, shapes = torch.zeros(1, reads, SIDE, SIDE, device=device, dtype=dtype), {}
    whole = nn.ModuleList([stem, *stages.values()])
    with evaluating(whole):
        features = stem(features)
        for stage, part in stages.items():
            features = part(features)
            shapes[stage] = tuple(features.shape)
    return shapes


def small_resnet(widths: Sequence[int] = (16, 24, 32, 64), channels: int = 3) -> nn.ModuleDict:
    """Return the parts of a ResNet of one block a stage, small enough to be trained on a CPU in minutes.

    Parameters
    ----------
    widths
        Channels of the four stages, at a quarter to a 32nd of the input's size.
    channels
        Of the input: 3 for frames and for flow as a picture, 2 for the flow's vectors.

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
        raise InputError(f"widths are {tuple(widths)}; needed: four numbers of channels, such as (16, 24, 32, 64)")
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
    """Two convolutions and a shortcut, by another convolution where the size changes."""

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
