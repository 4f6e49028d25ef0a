"""The training's classes say in one line what is wrong with an argument."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sdmetrics.clips.generated.world import world_clips
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.torch import BiasTracker, ShuffledFrames, StaticDropout, attach

VIDEO = ModelInput("video", frames=4, stride=1, size=(16, 16))
STRANGE = (None, "3", -1, 2.5, ["x"], float("nan"))


def made() -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(3, 8, 3, 2, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 5))


def dropout(**changed):
    return StaticDropout(**{"units": 8, "rate": 0.5} | changed)


def attached(**changed):
    return attach(made(), **{"layer": "2", "rate": 0.5} | changed)


def tracker(**changed):
    return BiasTracker(**{"model": made(), "inputs": [VIDEO], "layers": ["0"], "clips": world_clips(2)} | changed)


def test_a_layout_is_axes_or_a_list_of_them():
    for value in (None, 3, [3], [["NCTHW"]]):
        with pytest.raises(InputError, match=r"layout is .*; expected: axes, e.g. 'NCTHW'"):
            attached(layout=value)


def frames(**changed):
    return ShuffledFrames(**{"dataset": [(torch.zeros(3, 4, 2, 2), 1)], "axis": "CTHW"} | changed)[0]


@pytest.mark.parametrize(
    ("make", "name"),
    [
        *((dropout, name) for name in ("units", "every", "batches", "temperature", "per")),
        *((attached, name) for name in ("layer", "seed")),
        *((tracker, name) for name in ("inputs", "layers", "clips", "every", "seed", "batch", "model")),
        *((frames, name) for name in ("seed", "keys", "dataset")),
    ],
)
def test_what_is_wrong_with_an_argument_is_one_line(make, name):
    allowed = {"temperature": (2.5,), "keys": (["x"],), "dataset": ("3", ["x"])}
    for value in STRANGE:
        if value not in allowed.get(name, ()):
            with pytest.raises(InputError) as told:
                make(**{name: value})
            assert str(told.value).isprintable()


@pytest.mark.parametrize("features", [None, np.zeros((2, 4)), torch.zeros(2, 4, dtype=torch.int64), torch.zeros(2, 5)])
def test_features_are_tensors_of_floats(features):
    layer = StaticDropout(4, 0.5).train()
    for call in (layer, lambda z: layer.observe(z, z)):
        with pytest.raises(InputError, match=r"features|z1"):
            call(features)
