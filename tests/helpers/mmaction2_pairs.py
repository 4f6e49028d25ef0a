"""Rows of the catalogue at a size that a test can afford, and mmaction2's configurations of the same networks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.catalogue import find_architecture
from tests.helpers.slowfast_pairs import flat
from tests.helpers.small_catalogue import cut

CLASSES = 7
RECORD = Path(__file__).parents[1] / "data" / "mmaction2.json"


@dataclass(frozen=True)
class Pair:
    """A row and how mmaction2 builds its network.

    Parameters
    ----------
    name
        The row.
    config
        mmaction2's configuration, in its folder `configs/recognition`.
    frames, side
        The clip on which the two are compared.
    backbone
        What differs from the configuration's backbone: fewer blocks and channels.
    options
        The same for the row's builder.
    features
        Channels before the classifier, where they differ from the configuration.
    """

    name: str
    config: str
    frames: int
    side: int = 32
    backbone: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    features: int | None = None

    @property
    def row(self) -> Architecture:
        """The row, small."""
        row = find_architecture(self.name)
        inputs = [
            dataclasses.replace(
                each, frames=self.frames * each.frames // row.inputs[-1].frames, size=(self.side, self.side)
            )
            for each in row.inputs
        ]
        build: Any = partial(row.build, **self.options)

        def shallow(inputs: Any, classes: int, **sizes: Any) -> Any:
            return cut(build(inputs, classes, **sizes), row.family)

        return dataclasses.replace(row, inputs=tuple(inputs), build=shallow)

    def clip(self) -> Tensor:
        """Return two clips, `(2, 3, T, H, W)`."""
        shape = (2, 3, self.frames, self.side, self.side)
        return torch.from_numpy(np.random.RandomState(0).standard_normal(shape).astype(np.float32))

    def fed(self) -> list[Tensor]:
        """Return the clips as the row's inputs, of which each reads every so many frames."""
        inputs = self.row.inputs
        clips = [self.clip()[:, :, :: self.frames // each.frames] for each in inputs]
        return [clip.transpose(1, 2) if inputs[0].layout == "NTCHW" else clip for clip in clips]


NARROW = {"width": 8}
ONE = {"stage_blocks": (1, 1, 1, 1)}
TWO = {"stage_blocks": (2, 2, 2, 2), "inflate": ((1, 1), (1, 0), (1, 0), (0, 1))}
EVERY = {"stage_blocks": (2, 2, 2, 2)}
THIN = {"base_channels": 8}
TINY = {"img_size": 32, "embed_dims": 24, "num_heads": 2, "num_frames": 2, "num_transformer_layers": 2}
SMALL = {"img_size": 32, "embed_dims": 384, "num_heads": 6, "num_frames": 4, "depth": 1}
SWIN = {"arch": {"_delete_": True, "embed_dims": 96, "depths": [2, 1, 1, 1], "num_heads": [3, 6, 12, 24]}}
PATHWAYS = {"slow_pathway.stage_blocks": (1, 1, 1, 1), "fast_pathway.stage_blocks": (1, 1, 1, 1)}
OURS = {"hidden_size": 24, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 96}
K400 = "kinetics400-rgb.py"
PRE = "imagenet-pretrained-r50"

PAIRS = (
    Pair("c2d_r50_8x8x1", f"c2d/c2d_r50-in1k-pre_8xb32-8x8x1-100e_{K400}", 4, 64),
    Pair("tsm_r50_1x1x8", f"tsm/tsm_{PRE}_8xb16-1x1x8-50e_{K400}", 8),
    Pair("i3d_r50_32x2x1", f"i3d/i3d_{PRE}_8xb8-32x2x1-100e_{K400}", 16, 64, TWO | THIN, NARROW, 256),
    Pair("i3d_r50_heavy_32x2x1", f"i3d/i3d_{PRE}-heavy_8xb8-32x2x1-100e_{K400}", 4, 32, EVERY | THIN, NARROW, 256),
    Pair(
        "r2plus1d_r34_8x8x1",
        f"r2plus1d/r2plus1d_r34_8xb8-8x8x1-180e_{K400}",
        8,
        64,
        THIN | {"depth": 18},
        NARROW | {"depth": 18},
        64,
    ),
    Pair("slowfast_r50_4x16x1", f"slowfast/slowfast_r50_8xb8-4x16x1-256e_{K400}", 16, 32, PATHWAYS),
    Pair("slowfast_r50_8x8x1", f"slowfast/slowfast_r50_8xb8-8x8x1-256e_{K400}", 8, 32, PATHWAYS),
    Pair("slowonly_r50_8x8", f"slowonly/slowonly_r50_8xb16-8x8x1-256e_{K400}", 4, 32, ONE),
    Pair("x3d_m", f"x3d/x3d_m_16x5x1_facebook-{K400}", 4, 64, {"gamma_d": 0.2}),
    Pair("swin3d_t", f"swin/swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_{K400}", 4, 64, SWIN),
    Pair("timesformer_8x32", f"timesformer/timesformer_divST_8xb8-8x32x1-15e_{K400}", 2, 32, TINY, OURS, 24),
    Pair("videomae_b_16x4", "videomae/vit-base-p16_videomae-k400-pre_16x4x1_kinetics-400.py", 4, 32, SMALL, {}, 384),
)


def record(name: str) -> dict[str, Any]:
    """Return what mmaction2's code gave for a row: the `shapes` of its weights by name, and its `logits`."""
    found = json.loads(RECORD.read_text())[name]
    return {**found, "shapes": dict(flat(found["shapes"]))}
