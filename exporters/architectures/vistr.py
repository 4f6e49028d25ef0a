"""VisTR on torchvision's ResNets, fed as its authors evaluate it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import load_library
from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.architectures.torchvision import IMAGENET
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    from torch import nn

MEAN, STD = IMAGENET
LAYERS = 6


def build(
    inputs: Sequence[ModelInput],
    classes: int,
    *,
    backbone: str,
    **options: Any,  # noqa: ANN401 (of VisTR)
) -> nn.Module:
    """Build VisTR with random weights, without its mask head of deformable convolutions.

    Parameters
    ----------
    inputs
        How the model is fed.
    classes
        Number of logits of a query, including that for "no object".
    backbone
        Name of one of torchvision's ResNets; its normalisation is frozen.
    options
        Arguments of `VisTR` that differ from the published ones.

    Examples
    --------
    >>> clip = ModelInput("video", frames=2, size=(32, 32), layout="NTCHW")
    >>> module = build([clip], 4, backbone="resnet18", channels=24, heads=2, hidden=32, layers=(1, 1))
    >>> module.classes.out_features, module.queries.num_embeddings
    (4, 20)
    """
    from sdmetrics.torch.segmenters.vistr import VisTR

    (video,) = inputs
    network = getattr(load_library("torchvision.models"), backbone)(
        norm_layer=load_library("torchvision.ops").FrozenBatchNorm2d
    )
    features = network.fc.in_features
    return VisTR(_without_classifier(network), features, frames=video.frames, classes=classes - 1, **options)


def _without_classifier(network: nn.Module) -> nn.Module:
    """Return the parts of a ResNet before its pooling, under their names."""
    from torch.nn import Sequential

    kept = Sequential()
    for name, part in network.named_children():
        if name not in ("avgpool", "fc"):
            kept.add_module(name, part)
    # Nothing normalises random weights here: with a scale of 1 every block would double the variance.
    for name, scale in kept.named_buffers():
        if re.search(r"layer\d\.\d+\.bn[23]\.weight", name):
            scale.fill_(0.5)
    return kept


def _row(name: str, backbone: str) -> Architecture:
    return Architecture(
        name=name,
        family="VisTR",
        # Frames of 300 rows, here of 16:9, and the ones that YouTube-VIS annotates: every fifth of 30 in a second.
        inputs=(ModelInput("video", "rgb", 36, 1, (300, 533), "NTCHW", MEAN, STD, fps=6.0),),
        labels="YouTube-VIS 2019",
        # Its 40 kinds of objects are numbered from 1. Logit 0 is not used, and the last logit means "no object".
        classes=42,
        build=partial(build, backbone=backbone),
        layers={name: name for part in ("encoder", "decoder") for name in (f"{part}.{n + 1}" for n in range(LAYERS))},
        source="https://github.com/Epiphqny/VisTR/blob/master/inference.py",
    )


ROWS: tuple[Architecture, ...] = (_row("vistr_r50", "resnet50"), _row("vistr_r101", "resnet101"))
