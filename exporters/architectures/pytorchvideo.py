"""The convolutional architectures of PyTorchVideo's model zoo and of SlowFast's configurations.

Their modules are named as PyTorchVideo names them, so its checkpoints fit as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sdmetrics.exporters.architectures.architecture import Architecture, Build
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    from torch import nn

Kernels = Sequence[Sequence[int]]
"""The temporal kernel sizes of the blocks of each of the four stages, repeated to the stage's length."""

ZOO = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/"
CONFIGS = "https://github.com/facebookresearch/SlowFast/blob/main/configs/"
RATE = 30.0
"""Frames per second to which both resample videos, and from which strides count."""

C2D: Kernels = ((1,), (1,), (1,), (1,))
I3D: Kernels = ((3,), (3, 1), (3, 1), (1, 3))
SLOW: Kernels = ((1,), (1,), (3,), (3,))
FAST: Kernels = ((3,), (3,), (3,), (3,))


def video(frames: int, stride: int, short: int, side: int, name: str = "video") -> ModelInput:
    """Return an input of square crops, with the mean and deviation that all of PyTorchVideo's models share."""
    return ModelInput(name, frames=frames, stride=stride, size=(side, side), resize=short, fps=RATE)


def resnet(stem: int, kernels: Kernels, *, width: int = 64, depth: int = 50, pooled: bool = False) -> Build:
    """Return a builder of a single-stream network. With `pooled`, time is halved after its first stage."""

    def build(inputs: Sequence[ModelInput], classes: int) -> nn.Module:
        from sdmetrics.torch.classifiers.resnet3d import resnet3d

        (clip,) = inputs
        pool = 2 if pooled else 1
        window = (clip.frames // pool, *_window(clip))
        return resnet3d(classes, kernels, depth=depth, width=width, stem=stem, pool=pool, window=window)

    return build


def slowfast(fusion: int, *, depth: int = 50) -> Build:
    """Return a builder of a SlowFast network whose lateral connections have the kernel size `fusion`."""

    def build(inputs: Sequence[ModelInput], classes: int) -> nn.Module:
        from sdmetrics.torch.classifiers.slowfast import SlowFast

        slow, fast = inputs
        windows = (slow.frames, *_window(slow)), (fast.frames, *_window(fast))
        return SlowFast(classes, fast.frames // slow.frames, fusion, depth=depth, windows=windows)

    return build


def x3d(*, large: bool = False) -> Build:
    """Return a builder of an X3D network."""

    def build(inputs: Sequence[ModelInput], classes: int) -> nn.Module:
        from sdmetrics.torch.classifiers import x3d

        (clip,) = inputs
        side = -(-min(clip.size) // 32)
        return x3d.x3d(classes, x3d.LARGE if large else x3d.MEDIUM, window=(clip.frames, side, side))

    return build


def _window(clip: ModelInput) -> tuple[int, int]:
    """Return the window that the head averages over: that of training on crops of 224, or less for smaller clips."""
    height, width = (min(7, -(-side // 32)) for side in clip.size)
    return height, width


STAGES = {"stem": "blocks.0", "res2": "blocks.1", "res3": "blocks.2", "res4": "blocks.3", "res5": "blocks.4"}
POOLED_STAGES = {"stem": "blocks.0", "res2": "blocks.1", "res3": "blocks.3", "res4": "blocks.4", "res5": "blocks.5"}
# The pathways before the lateral connections join them.
PATHWAYS = {
    f"{pathway}.{stage}": f"{path}.multipathway_blocks.{index}"
    for index, pathway in enumerate(("slow", "fast"))
    for stage, path in STAGES.items()
}
X3D_STAGES = {f"s{index + 1}": f"blocks.{index}" for index in range(5)}


def _row(
    name: str,
    family: str,
    inputs: ModelInput | tuple[ModelInput, ...],
    build: Build,
    layers: Mapping[str, str],
    config: str,
    weights: str = "",
    labels: tuple[str, int] = ("Kinetics-400", 400),
) -> Architecture:
    """Return a row; `config` is a file of SlowFast's, `weights` one of PyTorchVideo's model zoo."""
    return Architecture(
        name=name,
        family=family,
        inputs=inputs if isinstance(inputs, tuple) else (inputs,),
        labels=labels[0],
        classes=labels[1],
        build=build,
        layers=layers,
        weights=f"{ZOO}{weights}" if weights else "",
        source=f"{CONFIGS}{config}.yaml",
    )


def _pathways(slow: tuple[int, int], fast: tuple[int, int]) -> tuple[ModelInput, ModelInput]:
    """Return SlowFast's two inputs, each specified by frames and stride."""
    return video(*slow, 256, 256, "slow"), video(*fast, 256, 256, "fast")


ONE_4X16, ONE_8X8, ONE_32X2 = (video(*clip, 256, 256) for clip in ((4, 16), (8, 8), (32, 2)))
TWO_4X16 = _pathways((4, 16), (32, 2))
TWO_8X8 = _pathways((8, 8), (32, 2))
TWO_16X8 = _pathways((16, 8), (64, 2))
# Over the whole video, as of all of Something-Something; of one crop, SlowFast's loader takes the left one, not the
# centre.
TWO_SPREAD = tuple(replace(item, sampling="spread", fps=None) for item in TWO_16X8)

# Several crops are as large as the short side; of SlowFast's three, the one in the middle is read. For a single one the
# configurations of X3D name another size.
K400 = "Kinetics/pytorchvideo/"
C2D_8, I3D_8, SLOW_4, SLOW_8 = (f"{K400}{name}_R50" for name in ("C2D_8x8", "I3D_8x8", "SLOW_4x16", "SLOW_8x8"))
BOTH_4, BOTH_8, BOTH_16 = (f"{K400}SLOWFAST_{name}" for name in ("4x16_R50", "8x8_R50", "16x8_R101_50_50"))
SSV2_16 = "SSv2/SLOWFAST_16x8_R50"
SSV2 = ("Something-Something v2", 174)

# Networks of depth 18 and the fast pathway alone have no configurations; they are fed as those that they are parts of.
ROWS: tuple[Architecture, ...] = (
    _row("c2d_r50_8x8", "C2D", ONE_8X8, resnet(1, C2D, pooled=True), POOLED_STAGES, C2D_8, "C2D_8x8_R50.pyth"),
    _row("i3d_r18_8x8", "I3D", ONE_8X8, resnet(5, I3D, depth=18, pooled=True), POOLED_STAGES, I3D_8),
    _row("i3d_r50_8x8", "I3D", ONE_8X8, resnet(5, I3D, pooled=True), POOLED_STAGES, I3D_8, "I3D_8x8_R50.pyth"),
    _row("slowonly_r18_8x8", "SlowOnly", ONE_8X8, resnet(1, SLOW, depth=18), STAGES, SLOW_8),
    _row("slowonly_r50_4x16", "SlowOnly", ONE_4X16, resnet(1, SLOW), STAGES, SLOW_4, "SLOW_4x16_R50.pyth"),
    _row("slowonly_r50_8x8", "SlowOnly", ONE_8X8, resnet(1, SLOW), STAGES, SLOW_8, "SLOW_8x8_R50.pyth"),
    # SlowFast's fast pathway by itself, an eighth as wide.
    _row("fastonly_r50", "FastOnly", ONE_32X2, resnet(5, FAST, width=8), STAGES, BOTH_8),
    _row("slowfast_r18_4x16", "SlowFast", TWO_4X16, slowfast(5, depth=18), PATHWAYS, BOTH_4),
    _row("slowfast_r18_8x8", "SlowFast", TWO_8X8, slowfast(7, depth=18), PATHWAYS, BOTH_8),
    _row("slowfast_r18_16x8", "SlowFast", TWO_16X8, slowfast(7, depth=18), PATHWAYS, BOTH_16),
    _row("slowfast_r50_4x16", "SlowFast", TWO_4X16, slowfast(5), PATHWAYS, BOTH_4, "SLOWFAST_4x16_R50.pyth"),
    _row("slowfast_r50_8x8", "SlowFast", TWO_8X8, slowfast(7), PATHWAYS, BOTH_8, "SLOWFAST_8x8_R50.pyth"),
    # With 50 layers SlowFast's authors trained it on Something-Something v2 and Charades only.
    _row("slowfast_r50_16x8", "SlowFast", TWO_SPREAD, slowfast(7), PATHWAYS, SSV2_16, labels=SSV2),
    _row("x3d_xs", "X3D", video(4, 12, 182, 160), x3d(), X3D_STAGES, f"{K400}X3D_XS", "X3D_XS.pyth"),
    _row("x3d_s", "X3D", video(13, 6, 182, 160), x3d(), X3D_STAGES, f"{K400}X3D_S", "X3D_S.pyth"),
    _row("x3d_m", "X3D", video(16, 5, 256, 224), x3d(), X3D_STAGES, f"{K400}X3D_M", "X3D_M.pyth"),
    _row("x3d_l", "X3D", video(16, 5, 356, 312), x3d(large=True), X3D_STAGES, f"{K400}X3D_L", "X3D_L.pyth"),
)
