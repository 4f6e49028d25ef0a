"""VisTR on torchvision's ResNets, fed as its authors evaluate it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import load_library, note
from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.architectures.torchvision import IMAGENET
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sdmetrics.exporters.architectures.architecture import State

MEAN, STD = IMAGENET
LAYERS = 6

RENAMES = (
    (r"^vistr\.", ""),
    (r"^backbone\.0\.body\.", "backbone."),
    (r"^input_proj\.", "projection."),
    (r"^transformer\.(en|de)coder\.layers\.(\d+)\.", lambda found: f"{found[1]}coder.{int(found[2]) + 1}."),
    (r"^transformer\.decoder\.norm\.", "norm."),
    (r"\.self_attn\.", ".attention."),
    (r"\.multihead_attn\.", ".cross_attention."),
    (r"\.out_proj\.", ".out."),
    (r"\.linear1\.", ".feedforward.0."),
    (r"\.linear2\.", ".feedforward.3."),
    (r"^query_embed\.", "queries."),
    (r"^bbox_embed\.layers\.(\d)\.", lambda found: f"boxes.{2 * int(found[1])}."),
    (r"^class_embed\.", "classes."),
)
"""Renames the weights of the authors' repository (github.com/Epiphqny/VisTR) to the names of `VisTR`."""

MASK_HEAD = ("bbox_attention.", "mask_head.", "insmask_head.")
"""Prefixes of the weights that predict masks."""


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


def translated(state: State) -> dict[str, Tensor]:
    """Return the weights of the authors' checkpoint under the names of `VisTR`, without those that predict masks.

    Warns
    -----
    UserWarning
        If the checkpoint has such weights.

    Examples
    --------
    >>> list(translated({"vistr.transformer.encoder.layers.0.linear1.bias": 0, "vistr.class_embed.bias": 1}))
    ['encoder.1.feedforward.0.bias', 'classes.bias']
    """
    kept: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if not name.startswith(MASK_HEAD):
            for pattern, replacement in RENAMES:
                name = re.sub(pattern, replacement, name)
            kept |= _apart(name, tensor)
    masking = sum(name.startswith(MASK_HEAD) for name in state)
    if masking:
        note(
            f"the {masking} weights of VisTR's mask head are left out: its deformable convolutions are not exported. "
            "Layers, classes and boxes are those of the checkpoint"
        )
    return kept


def _apart(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """Split the joint projection of queries, keys and values into three. Other weights are unchanged."""
    start, joint, kind = name.partition("in_proj_")
    if not joint or not tensor.ndim:
        return {name: tensor}
    return {f"{start}{part}.{kind}": cut for part, cut in zip(("query", "key", "value"), tensor.chunk(3), strict=False)}


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
        # Wide frames of 300 rows, every fifth of a video, which are the frames that YouTube-VIS annotates.
        inputs=(ModelInput("video", "rgb", 36, 5, (300, 533), "NTCHW", MEAN, STD),),
        labels="YouTube-VIS 2019",
        # Its 40 kinds of objects are numbered from 1. Logit 0 is not used, and the last logit means "no object".
        classes=42,
        build=partial(build, backbone=backbone),
        layers={name: name for part in ("encoder", "decoder") for name in (f"{part}.{n + 1}" for n in range(LAYERS))},
    )


ROWS: tuple[Architecture, ...] = (_row("vistr_r50", "resnet50"), _row("vistr_r101", "resnet101"))
