"""Architectures that torchvision builds, fed as its published weights were evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import load_library
from sdmetrics.exporters.architectures.architecture import Architecture, Build
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    from torch import nn

Colours = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and deviation of the three channels."""

USUAL: Colours = ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))
KINETICS: Colours = ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))
IMAGENET: Colours = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def video(frames: int, stride: int, side: int, colours: Colours) -> ModelInput:
    """Return an input of square frames."""
    mean, std = colours
    return ModelInput("video", frames=frames, stride=stride, size=(side, side), mean=mean, std=std)


def any_size(name: str) -> Build:
    """Return a builder of a network that takes clips of any size."""

    def build(_inputs: Sequence[ModelInput], classes: int) -> nn.Module:
        network: nn.Module = getattr(load_library("torchvision.models.video"), name)(num_classes=classes)
        return network

    return build


def s3d(inputs: Sequence[ModelInput], classes: int) -> nn.Module:
    """Build S3D. Its head averages over the window of its weights, or over less for smaller clips."""
    from torch.nn import AvgPool3d

    network = any_size("s3d")(inputs, classes)
    (clip,) = inputs
    height, width = (min(7, -(-side // 32)) for side in clip.size)
    network.avgpool = AvgPool3d((min(2, clip.frames // 8), height, width), stride=1)
    return network


def mvit(inputs: Sequence[ModelInput], classes: int) -> nn.Module:
    """Build MViT v2 S. For clips of another size its relative positions are interpolated."""
    network: Any = any_size("mvit_v2_s")(inputs, classes)
    (clip,) = inputs
    frames, *sides = (
        size // stride for size, stride in zip((clip.frames, *clip.size), network.conv_proj.stride, strict=True)
    )
    network.pos_encoding.temporal_size, network.pos_encoding.spatial_size = frames, tuple(sides)
    module: nn.Module = network
    return module


def swin_blocks(*depths: int) -> Mapping[str, str]:
    """Return every block of the four stages, between which patches are merged."""
    return {
        f"stage{stage + 1}.block{block + 1}": f"features.{2 * stage}.{block}"
        for stage, depth in enumerate(depths)
        for block in range(depth)
    }


RESNET = {name: name for name in ("stem", "layer1", "layer2", "layer3", "layer4")}
# The ends of the five stages, named as in Inception; the stem is taken after its pooling.
S3D_STAGES = {
    "stem": "features.1",
    "conv_2c": "features.3",
    "mixed_3c": "features.6",
    "mixed_4f": "features.12",
    "mixed_5c": "features.15",
}
MVIT_BLOCKS = {f"block{index + 1}": f"blocks.{index}" for index in range(16)}


def _row(
    name: str, family: str, clip: ModelInput, layers: Mapping[str, str], weights: str, build: Build | None = None
) -> Architecture:
    return Architecture(
        name=name,
        family=family,
        inputs=(clip,),
        labels="Kinetics-400",
        classes=400,
        build=build or any_size(name),
        layers=layers,
        weights=f"{weights}_Weights.KINETICS400_V1",
    )


ROWS: tuple[Architecture, ...] = (
    _row("mvit_v2_s_16x4", "MViT", video(16, 4, 224, USUAL), MVIT_BLOCKS, "MViT_V2_S", mvit),
    _row("r2plus1d_18", "R(2+1)D", video(16, 2, 112, KINETICS), RESNET, "R2Plus1D_18"),
    _row("mc3_18", "MC3", video(16, 2, 112, KINETICS), RESNET, "MC3_18"),
    _row("s3d", "S3D", video(128, 2, 224, KINETICS), S3D_STAGES, "S3D", s3d),
    _row("swin3d_t", "Swin3D", video(32, 2, 224, IMAGENET), swin_blocks(2, 2, 6, 2), "Swin3D_T"),
    _row("swin3d_s", "Swin3D", video(32, 2, 224, IMAGENET), swin_blocks(2, 2, 18, 2), "Swin3D_S"),
    _row("swin3d_b", "Swin3D", video(32, 2, 224, IMAGENET), swin_blocks(2, 2, 18, 2), "Swin3D_B"),
)
