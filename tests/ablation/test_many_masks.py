"""A runner that takes many masks at once gives the same ablation as one that takes them one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sdmetrics.ablation.ablate import ablate
from sdmetrics.clips import Clip
from sdmetrics.errors import InputError
from sdmetrics.runners.onnxruntime import OnnxRunner
from tests.ablation.test_torch import made_results
from tests.helpers.removable import UNITS, Linear, quickly
from tests.helpers.torch_models import CASES, probed


class OneByOne:
    """A runner without `run_masks`."""

    def __init__(self, runner):
        self.inputs, self.layers, self.identity, self.name = runner.inputs, runner.layers, runner.identity, runner.name
        self.circumstance, self.run, self.metadata = runner.circumstance, runner.run, runner.metadata


class Together(Linear):
    """`Linear` with `run_masks`, which counts."""

    def __init__(self, deaf=()):
        super().__init__(deaf, noise=1)
        self.calls = []

    def run_masks(self, fed, masks):
        self.calls.append(masks)
        return [super(Together, self).run(fed, mask) for mask in masks]


def test_of_a_probe():
    runner = OnnxRunner(probed("resnet"), provider="cpu", threads=1)
    layers = ["stem", "layer2", "layer4"]
    results = made_results(runner.identity, layers, {layer.name: layer.units for layer in runner.metadata.layers})
    (item,) = CASES["resnet"].inputs
    frames = np.random.default_rng(0).integers(0, 256, (7, item.frames, *item.size, 3), np.uint8)
    clips = [Clip(f"c{i}", lambda i=i: frames[i], label=str(i % 5)) for i in range(7)]

    def first(outputs, _clips):
        return next(iter(outputs.values()))[:, 0]

    found, expected = (
        ablate(each, clips, results, score=first, layers=layers, fractions=[0.4, 1], repeats=2, batch=3)
        for each in (runner, OneByOne(runner))
    )
    assert all(runner._cut._halves[layer] is not None for layer in layers)
    assert found.rows == expected.rows
    assert found.curves == expected.curves
    assert found.differences == expected.differences
    assert replace(found, ran_on=expected.ran_on) == expected


@pytest.mark.parametrize("layers", [["late"], ["early", "late"], ["late", "early"]])
def test_of_any_runner(layers):
    runner = Together()
    found = quickly(runner, layers=layers)
    assert replace(found, ran_on=[]) == replace(quickly(layers=layers), ran_on=[])
    for call in runner.calls:
        assert call[0] == {}
        assert len({layer for mask in call for layer in mask}) == 1


def test_whether_a_layer_acts_is_asked_even_where_no_mask_removes_all():
    runner = Together(deaf=("early",))
    with pytest.raises(InputError, match="early"):
        quickly(runner, layers=["early", "late"])
    whole = np.zeros(UNITS)
    assert any(np.array_equal(mask["early"], whole) for call in runner.calls for mask in call if "early" in mask)
