"""The catalogue's rows at a size that a test can afford."""

import dataclasses
import itertools

from sdmetrics.exporters._weights.processor_resize import resized_for
from sdmetrics.exporters.architectures.architecture import Architecture

SIDE = 64
SIDES = dict.fromkeys(("VidEoMT", "V-JEPA 2", "R(2+1)D", "MC3", "TSN", "TSM", "SlowFast"), 32) | {"VideoPrism": 36}
"""Sides by family, where tokens of 18 pixels, the number of nodes or wide layers ask for another one."""
FRAMES = {
    "SlowFast": {"slow": 2, "fast": 8},
    "S3D": {"video": 8},
    "VidEoMT": {"video": 2},
    "i3d_r50_32x2x1": {"video": 8},
}
"""Frames by family or row and by input, where four are too few or too many."""

NARROW = {"hidden_size": 24, "num_attention_heads": 2}
SHALLOW = NARROW | {"num_hidden_layers": 2, "intermediate_size": 48}
PREDICTOR = {"pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
OPTIONS = {
    "TimeSformer": SHALLOW,
    "VideoMAE": SHALLOW,
    "ViViT": SHALLOW,
    "V-JEPA 2": NARROW | PREDICTOR | {"num_hidden_layers": 2, "num_pooler_layers": 1},
    "VideoPrism": NARROW | {"num_spatial_layers": 2, "num_temporal_layers": 2, "intermediate_size": 48},
    "X-CLIP": SHALLOW,
    "VidEoMT": NARROW | {"num_hidden_layers": 2, "num_blocks": 1, "num_queries": 3},
    "VisTR": {"backbone": "resnet18", "channels": 24, "heads": 2, "hidden": 48, "queries": 3, "layers": (2, 2)},
}
"""Options of the builders, by family, mostly fields of Transformers' configurations: two blocks, and narrow."""
BACKBONES = {"FusionSeg": "resnet50", "MATNet": "resnet18", "RTNet": "resnet18"}
"""Of both streams; FusionSeg's is dilated, which the narrower ones cannot be."""
DEPTHS = ("num_hidden_layers", "num_spatial_layers", "num_temporal_layers", "num_blocks", "layers")


MVIT_KEPT = (0, 1, 2, 3, 13, 14)
"""Blocks of either MViT of which each reads as many channels as the one before returns."""
SWIN_KEPT = (2, 1, 1, 1)
"""Blocks of Swin's stages; every second one shifts its windows."""


def reduced(architecture: Architecture, whole: bool = False) -> Architecture:
    """Return a row that reads few small frames and keeps the first blocks of its stages; or all, with `whole`."""
    family = architecture.family
    frames, side = FRAMES.get(architecture.name, FRAMES.get(family, {})), SIDES.get(family, SIDE)
    inputs = tuple(
        dataclasses.replace(
            item,
            frames=frames.get(item.name, 4) if "T" in item.layout else 1,
            size=(side, side),
            resize=resized_for(item.resize, item.size, (side, side)),
        )
        for item in architecture.inputs
    )
    options = OPTIONS.get(family, {})
    if whole:
        options = {key: value for key, value in options.items() if key not in DEPTHS}
    elif family in BACKBONES:
        options = {"backbone": BACKBONES[family]}

    def build(inputs, classes):
        module = architecture.build(inputs, classes, **options)
        return module if whole else cut(module, family)

    layers = architecture.layers if whole else kept(architecture)
    return dataclasses.replace(architecture, inputs=inputs, layers=layers, build=build)


def kept(architecture):
    """Return the layers that are left where the later blocks are gone."""
    layers = architecture.layers
    if architecture.family == "VisTR":
        return {name: path for name, path in layers.items() if path.rpartition(".")[2] in ("1", "2")}
    if architecture.family in OPTIONS:
        return {name: path for name, path in layers.items() if path.rpartition(".")[2] in ("0", "1")}
    if architecture.family == "MViT":
        return dict(list(layers.items())[: len(MVIT_KEPT)])
    if architecture.family == "Swin3D":
        left = {f"features.{2 * stage}.{block}" for stage, count in enumerate(SWIN_KEPT) for block in range(count)}
        return {name: path for name, path in layers.items() if path in left}
    return layers


def cut(module, family):
    """Take the later blocks out of a module's stages."""
    for part in module.modules():
        if hasattr(part, "res_blocks"):
            # I3D's second blocks have other kernels than its first.
            part.res_blocks = part.res_blocks[: 2 if family == "I3D" else 1]
    if family == "Swin3D":
        for stage, count in enumerate(SWIN_KEPT):
            module.features[2 * stage] = module.features[2 * stage][:count]
    if family in ("R(2+1)D", "MC3") and hasattr(module, "layer4"):
        for stage in (1, 2, 3, 4):
            setattr(module, f"layer{stage}", getattr(module, f"layer{stage}")[:1])
    if family in BACKBONES:
        for stream, stage in itertools.product((module.appearance, module.motion), (2, 3, 4, 5)):
            stream[f"stage{stage}"] = stream[f"stage{stage}"][:1]
    if family == "MViT":
        module.blocks = type(module.blocks)(module.blocks[index] for index in MVIT_KEPT)
    return module
