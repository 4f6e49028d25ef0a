"""Rows of the catalogue, how SlowFast's repository trains them, and weights for both."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.catalogue import find_architecture

CLASSES = 7
RECORD = Path(__file__).parents[1] / "data" / "slowfast.json"


@dataclass(frozen=True)
class Pair:
    """A row and how SlowFast's repository trains it.

    Parameters
    ----------
    name
        The row.
    config
        SlowFast's configuration, in its folder `configs`.
    frames, side
        The clip on which the two are compared: as small as the architecture allows.
    options
        What differs from the configuration.
    """

    name: str
    config: str
    frames: int
    side: int = 64
    options: tuple[object, ...] = ()

    @property
    def row(self) -> Architecture:
        """The row, fed with the smaller clip."""
        row = find_architecture(self.name)
        inputs = [
            replace(each, frames=self.frames * each.frames // row.inputs[-1].frames, size=(self.side, self.side))
            for each in row.inputs
        ]
        return replace(row, inputs=tuple(inputs))

    def clips(self) -> list[Tensor]:
        """Return two clips, `(2, C, T, H, W)` per input."""
        random = np.random.RandomState(0)
        return [
            torch.from_numpy(random.standard_normal((2, 3, each.frames, *each.size)).astype(np.float32))
            for each in self.row.inputs
        ]


def _depth_18(streams: int) -> tuple[object, ...]:
    return ("RESNET.DEPTH", 18, "RESNET.NUM_BLOCK_TEMP_KERNEL", [[2] * streams] * 4)


PAIRS = (
    Pair("c2d_r50_8x8", "Kinetics/C2D_8x8_R50", 4),
    Pair("i3d_r18_8x8", "Kinetics/I3D_8x8_R50", 4, options=_depth_18(1)),
    Pair("i3d_r50_8x8", "Kinetics/I3D_8x8_R50", 4),
    Pair("slowonly_r18_8x8", "Kinetics/SLOW_8x8_R50", 2, options=_depth_18(1)),
    Pair("slowonly_r50_4x16", "Kinetics/SLOW_4x16_R50", 2),
    Pair("slowonly_r50_8x8", "Kinetics/SLOW_8x8_R50", 2),
    Pair("fastonly_r50", "Kinetics/SLOW_8x8_R50", 4, options=("RESNET.WIDTH_PER_GROUP", 8)),
    Pair("slowfast_r18_4x16", "Kinetics/SLOWFAST_4x16_R50", 16, options=_depth_18(2)),
    Pair("slowfast_r18_8x8", "Kinetics/SLOWFAST_8x8_R50", 8, options=_depth_18(2)),
    Pair("slowfast_r18_16x8", "SSv2/SLOWFAST_16x8_R50", 8, options=_depth_18(2)),
    Pair("slowfast_r50_4x16", "Kinetics/SLOWFAST_4x16_R50", 16),
    Pair("slowfast_r50_8x8", "Kinetics/SLOWFAST_8x8_R50", 8),
    Pair("slowfast_r50_16x8", "SSv2/SLOWFAST_16x8_R50", 8),
    Pair("x3d_xs", "Kinetics/X3D_XS", 4),
    Pair("x3d_s", "Kinetics/X3D_S", 4),
    Pair("x3d_m", "Kinetics/X3D_M", 4),
    Pair("x3d_l", "Kinetics/X3D_L", 4),
    Pair("mvit_b_16x4", "Kinetics/MVIT_B_16x4_CONV", 4),
    # torchvision has its relative positions for this size alone.
    Pair("mvit_v2_s_16x4", "Kinetics/MVITv2_S_16x4", 16, 224),
)


def weights(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Return weights that depend on nothing but their names and shapes, so that no two can be mistaken."""
    return {name: torch.from_numpy(_weight(name, tuple(shape))) for name, shape in shapes.items()}


def _weight(name: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.array(1)
    spread = random.random_sample(shape).astype(np.float32) - np.float32(0.5)
    if name.endswith(("bias", "running_mean")):
        return spread
    if len(shape) == 1:
        return spread + 1
    if "pos_embed" in name or "cls_token" in name:
        return 4 * spread
    # So that what a layer returns is about as large as what it is given.
    return spread * np.float32((12 / np.prod(shape[1:])) ** 0.5)


def record(name: str) -> dict[str, Any]:
    """Return what SlowFast's code gave for a row: the `shapes` of its weights by name, and its `logits`."""
    found = json.loads(RECORD.read_text())[name]
    return {**found, "shapes": dict(flat(found["shapes"]))}


def nested(shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Return names as a tree, which is many times shorter."""
    tree: dict[str, Any] = {}
    for name, shape in shapes.items():
        *path, leaf = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[leaf] = list(shape)
    return tree


def flat(tree: Mapping[str, Any], above: str = "") -> list[tuple[str, list[int]]]:
    found: list[tuple[str, list[int]]] = []
    for part, below in tree.items():
        found += flat(below, f"{above}{part}.") if isinstance(below, dict) else [(above + part, below)]
    return found
