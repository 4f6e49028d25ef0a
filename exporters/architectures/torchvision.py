"""Architectures that torchvision builds, fed as its published weights were evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


def video(frames: int, fps: float, resize: int | tuple[int, int], side: int, colours: Colours) -> ModelInput:
    """Return an input of consecutive frames of a resampled video, as torchvision's references evaluate."""
    mean, std = colours
    return ModelInput(
        "video", frames=frames, stride=1, size=(side, side), mean=mean, std=std, resize=resize, fps=float(fps)
    )


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


def mvit_v1(inputs: Sequence[ModelInput], classes: int) -> nn.Module:
    """Build MViT-B, with position codes for the size of the clip."""
    from torch.nn import init

    network: Any = any_size("mvit_v1_b")(inputs, classes)
    frames, *sides = _tokens(network, inputs)
    codes = network.pos_encoding
    if (codes.temporal_size, [*codes.spatial_size]) != (frames, sides):
        network.pos_encoding = type(codes)(len(codes.class_token), tuple(sides), frames, rel_pos_embed=False)
        for code in network.pos_encoding.parameters():
            init.trunc_normal_(code, std=0.02)
    for name, part in network.named_modules():
        # As in the code that trained the published weights; torchvision's own is smaller.
        if name.endswith("norm_act.0"):
            part.eps = 1e-5
    module: nn.Module = network
    return module


def mvit_v2(inputs: Sequence[ModelInput], classes: int) -> nn.Module:
    """Build MViT v2 S. For clips of another size its relative positions are interpolated."""
    network: Any = any_size("mvit_v2_s")(inputs, classes)
    frames, *sides = _tokens(network, inputs)
    network.pos_encoding.temporal_size, network.pos_encoding.spatial_size = frames, tuple(sides)
    module: nn.Module = network
    return module


def _tokens(network: Any, inputs: Sequence[ModelInput]) -> Iterator[int]:  # noqa: ANN401 (one of torchvision's)
    """Return how many tokens MViT makes of a clip along time, height and width."""
    (clip,) = inputs
    return (
        -(-size // stride) for size, stride in zip((clip.frames, *clip.size), network.conv_proj.stride, strict=True)
    )


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
    name: str,
    family: str,
    clip: ModelInput,
    layers: Mapping[str, str],
    weights: str,
    file: str,
    build: Build | None = None,
) -> Architecture:
    """Return a row; `file` is that of torchvision's models which describes the weights."""
    return Architecture(
        name=name,
        family=family,
        inputs=(clip,),
        labels="Kinetics-400",
        classes=400,
        build=build or any_size(name),
        layers=layers,
        weights=f"{weights}_Weights.KINETICS400_V1",
        source=f"https://github.com/pytorch/vision/blob/main/torchvision/models/video/{file}.py",
    )


MVIT = video(16, 7.5, 256, 224, USUAL)
RESNET_18 = video(16, 15, (128, 171), 112, KINETICS)
SWIN, SWIN_FILE = video(32, 15, 256, 224, IMAGENET), "swin_transformer"

ROWS: tuple[Architecture, ...] = (
    _row("mvit_b_16x4", "MViT", MVIT, MVIT_BLOCKS, "MViT_V1_B", "mvit", mvit_v1),
    _row("mvit_v2_s_16x4", "MViT", MVIT, MVIT_BLOCKS, "MViT_V2_S", "mvit", mvit_v2),
    _row("r2plus1d_18", "R(2+1)D", RESNET_18, RESNET, "R2Plus1D_18", "resnet"),
    _row("mc3_18", "MC3", RESNET_18, RESNET, "MC3_18", "resnet"),
    _row("s3d", "S3D", video(128, 15, (256, 256), 224, KINETICS), S3D_STAGES, "S3D", "s3d", s3d),
    _row("swin3d_t", "Swin3D", SWIN, swin_blocks(2, 2, 6, 2), "Swin3D_T", SWIN_FILE),
    _row("swin3d_s", "Swin3D", SWIN, swin_blocks(2, 2, 18, 2), "Swin3D_S", SWIN_FILE),
    _row("swin3d_b", "Swin3D", SWIN, swin_blocks(2, 2, 18, 2), "Swin3D_B", SWIN_FILE),
)
