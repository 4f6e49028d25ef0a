"""Convolutional architectures that mmaction2 builds otherwise than SlowFast's code, PyTorchVideo and torchvision.

Their names end as those of mmaction2's configurations: frames × stride × clips; TSN and TSM read that many clips of one
frame. Checkpoints of its SlowOnly, X3D, Swin, MViT v2, TimeSformer and VideoMAE fit the rows of other libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.architectures.pytorchvideo import FAST, I3D, PATHWAYS
from sdmetrics.exporters.architectures.torchvision import IMAGENET
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    from torch import nn

CONFIGS = "https://github.com/open-mmlab/mmaction2/blob/main/configs/recognition/"
STAGES = {"stem": "backbone.stem"} | {f"res{stage}": f"backbone.res{stage}" for stage in range(2, 6)}
LAYERS = {"stem": "backbone.maxpool"} | {f"layer{stage}": f"backbone.layer{stage}" for stage in range(1, 5)}


def video(frames: int, stride: int, name: str = "video", *, sampling: str = "window") -> ModelInput:
    """Return an input as in the `val_pipeline` of all configurations: one clip, of the video's own frames, one crop."""
    mean, std = IMAGENET
    return ModelInput(name, "rgb", frames, stride, mean=mean, std=std, resize=256, sampling=sampling)


def recognizer(**chosen: Any) -> Callable[..., nn.Module]:  # noqa: ANN401 (options of several types)
    """Return a builder of a network with the options of `sdmetrics.torch.classifiers.mmaction2.recognizer`."""

    def build(_inputs: Sequence[ModelInput], classes: int, **options: Any) -> nn.Module:  # noqa: ANN401
        from sdmetrics.torch.classifiers import mmaction2

        return mmaction2.recognizer(classes, **chosen, **options)

    return build


def r2plus1d(_inputs: Sequence[ModelInput], classes: int, **options: int) -> nn.Module:
    """Build R(2+1)D of depth 34."""
    from sdmetrics.torch.classifiers import r2plus1d

    return r2plus1d.r2plus1d(classes, **options)


def slowfast(fusion: int) -> Callable[..., nn.Module]:
    """Return a builder of SlowFast whose lateral connections are convolutions of `fusion` frames and nothing else."""

    def build(inputs: Sequence[ModelInput], classes: int) -> nn.Module:
        from sdmetrics.torch.classifiers.slowfast import SlowFast

        slow, fast = inputs
        return SlowFast(classes, fast.frames // slow.frames, fusion, rectified=False)

    return build


def _row(
    name: str,
    family: str,
    inputs: ModelInput | tuple[ModelInput, ...],
    build: Callable[..., nn.Module],
    config: str,
    layers: Mapping[str, str] = STAGES,
) -> Architecture:
    """Return a row; `config` is one of mmaction2's configurations."""
    return Architecture(
        name=name,
        family=family,
        inputs=inputs if isinstance(inputs, tuple) else (inputs,),
        labels="Kinetics-400",
        classes=400,
        build=build,
        layers=layers,
        source=f"{CONFIGS}{config}_kinetics400-rgb.py",
    )


def _pathways(slow: tuple[int, int]) -> tuple[ModelInput, ModelInput]:
    """Return SlowFast's two inputs; the slow one is specified by frames and stride."""
    return video(*slow, "slow"), video(32, 2, "fast")


def _segments(frames: int) -> ModelInput:
    """Return an input of single frames from the middle of as many parts of the video."""
    return video(frames, 1, sampling="spread")


TSN, TSM = recognizer(), recognizer(shifted=True)
INFLATED = recognizer(kernels=I3D, stem=5, stem_strides=(2, 2), pool=2)
HEAVY = recognizer(kernels=FAST, stem=5, pool=2)
POOLED = recognizer(pool=2, padded=False)
PRE = "imagenet-pretrained-r50"

ROWS: tuple[Architecture, ...] = (
    _row("c2d_r50_8x8x1", "C2D", video(8, 8), POOLED, "c2d/c2d_r50-in1k-pre_8xb32-8x8x1-100e"),
    _row("c2d_r50_nopool_8x8x1", "C2D", video(8, 8), TSN, "c2d/c2d_r50-in1k-pre-nopool_8xb32-8x8x1-100e"),
    _row("i3d_r50_32x2x1", "I3D", video(32, 2), INFLATED, f"i3d/i3d_{PRE}_8xb8-32x2x1-100e"),
    _row("i3d_r50_heavy_32x2x1", "I3D", video(32, 2), HEAVY, f"i3d/i3d_{PRE}-heavy_8xb8-32x2x1-100e"),
    _row("tsn_r50_1x1x8", "TSN", _segments(8), TSN, f"tsn/tsn_{PRE}_8xb32-1x1x8-100e"),
    _row("tsm_r50_1x1x8", "TSM", _segments(8), TSM, f"tsm/tsm_{PRE}_8xb16-1x1x8-50e"),
    _row("tsm_r50_1x1x16", "TSM", _segments(16), TSM, f"tsm/tsm_{PRE}_8xb16-1x1x16-50e"),
    _row(
        "slowfast_r50_4x16x1",
        "SlowFast",
        _pathways((4, 16)),
        slowfast(5),
        "slowfast/slowfast_r50_8xb8-4x16x1-256e",
        PATHWAYS,
    ),
    _row(
        "slowfast_r50_8x8x1",
        "SlowFast",
        _pathways((8, 8)),
        slowfast(7),
        "slowfast/slowfast_r50_8xb8-8x8x1-256e",
        PATHWAYS,
    ),
    _row("r2plus1d_r34_8x8x1", "R(2+1)D", video(8, 8), r2plus1d, "r2plus1d/r2plus1d_r34_8xb8-8x8x1-180e", LAYERS),
    _row("r2plus1d_r34_32x2x1", "R(2+1)D", video(32, 2), r2plus1d, "r2plus1d/r2plus1d_r34_8xb8-32x2x1-180e", LAYERS),
)
