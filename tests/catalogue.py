"""The catalogue's rows at a size that a test can afford."""

import dataclasses

from sdmetrics.exporters.architectures.architecture import Architecture

SIDE = 64
SIDES = {"VideoPrism": 36, "VidEoMT": 32, "V-JEPA 2": 32}
"""Sides by family, where tokens of 18 pixels or the number of nodes ask for another one."""
FRAMES = {"SlowFast": {"slow": 2, "fast": 8}, "S3D": {"video": 8}, "VidEoMT": {"video": 2}}
"""Frames by family and input, where four are too few or too many."""

NARROW = {"hidden_size": 24, "num_attention_heads": 2}
SHALLOW = NARROW | {"num_hidden_layers": 2, "intermediate_size": 48}
PREDICTOR = {"pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
OPTIONS = {
    "TimeSformer": SHALLOW,
    "VideoMAE": SHALLOW,
    "ViViT": SHALLOW,
    "V-JEPA 2": NARROW | PREDICTOR | {"num_hidden_layers": 2, "num_pooler_layers": 1},
    "VideoPrism": NARROW | {"num_spatial_layers": 2, "num_temporal_layers": 2, "intermediate_size": 48},
    "VidEoMT": NARROW | {"num_hidden_layers": 2, "num_blocks": 1, "num_queries": 3},
}
"""Fields of the configurations of Transformers, by family: two blocks, and narrow."""


MVIT_LEFT_OUT = slice(5, 13)
"""Blocks of either MViT that read and return as many channels as each other."""


def reduced(architecture: Architecture) -> Architecture:
    """Return a row that reads few small frames and keeps, of each stage or transformer, its first two blocks."""
    frames, side = FRAMES.get(architecture.family, {}), SIDES.get(architecture.family, SIDE)
    inputs = tuple(
        dataclasses.replace(item, frames=frames.get(item.name, 4), size=(side, side)) for item in architecture.inputs
    )
    layers = architecture.layers
    if architecture.family in ("Swin3D", *OPTIONS):
        layers = {name: path for name, path in layers.items() if path.rpartition(".")[2] in ("0", "1")}
    if architecture.family == "MViT":
        layers = dict(list(layers.items())[: len(layers) - (MVIT_LEFT_OUT.stop - MVIT_LEFT_OUT.start)])
    options = OPTIONS.get(architecture.family, {})

    def build(inputs, classes):
        return cut(architecture.build(inputs, classes, **options), architecture.family)

    return dataclasses.replace(architecture, inputs=inputs, layers=layers, build=build)


def cut(module, family):
    """Take the later blocks out of a module's stages; what is left fits together."""
    for part in module.modules():
        if hasattr(part, "res_blocks"):
            part.res_blocks = part.res_blocks[:2]
    if family == "Swin3D":
        for stage in range(0, len(module.features), 2):
            module.features[stage] = module.features[stage][:2]
    if family == "MViT":
        del module.blocks[MVIT_LEFT_OUT]
    return module
