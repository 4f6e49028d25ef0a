"""Measure what the masks of an ablation cost, against one forward of its clips and against the whole model per mask."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.ablation.ablate import ablate
from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.clips.generated.world import MOTIONS, world_clips
from sdmetrics.demo import demo_model
from sdmetrics.loading.open import open_model
from sdmetrics.probes.feeds import random_feeds
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.protocols import Outputs, UnitMasks

LAYERS = {"last": "stage4", "middle": "stage2"}
MASKS = 109
"""About as many as one layer has with the default fractions and draws."""
TENTH = 10


def ablation_ratios(clips: int = 16, repeats: int = 5) -> dict[str, float]:
    """Return, for the last and the middle layer of the demo's model, two ratios.

    `"LAYER / forward"` is the time of all masks over that of one forward of the same clips. `"not cut / LAYER"` is the
    time of the whole model per mask, estimated from a tenth of the masks, over that of all masks. The time in which the
    model is cut does not count. The former are medians over the repeats.
    """
    with demo_model("motion") as path:
        runner = open_model(path, provider="cpu", masks=True)
    feeds = random_feeds(runner.inputs, clips)
    units = {layer.name: layer.units for layer in runner.metadata.layers}
    rng = np.random.default_rng(0)
    ratios = {}
    for place, layer in LAYERS.items():
        masks = [{}, *({layer: rng.integers(0, 2, units[layer])} for _ in range(MASKS - 1))]
        list(runner.run_masks(feeds, masks[:2]))
        pairs = [
            (_seconds(lambda: runner.run(feeds)), _seconds(lambda masks=masks: list(runner.run_masks(feeds, masks))))
            for _ in range(repeats)
        ]
        some = masks[::TENTH]
        whole = _seconds(lambda some=some: [runner.run(feeds, mask) for mask in some]) * len(masks) / len(some)
        ratios[f"{place} / forward"] = median(cut / forward for forward, cut in pairs)
        ratios[f"not cut / {place}"] = whole / median(cut for _, cut in pairs)
    return ratios


def whole_ablation_ratio(clips: int = 32, repeats: int = 3) -> float:
    """Return the time of `ablate` with the whole model per mask over that of `ablate` as it is, a median over repeats.

    Both ablate the last layer of the demo's model as `sdmetrics demo` suggests, clips and scores included. The curves
    are compared, too.

    Raises
    ------
    AssertionError
        If they differ.
    """
    with demo_model("motion") as path:
        runner = open_model(path, provider="cpu", masks=True)
    listed = world_clips(clips)
    results = measure_biases(runner, listed, progress=False)
    classes = {name: index for index, name in enumerate(MOTIONS)}
    ratios = []
    for _ in range(repeats):
        (slow, per_mask), (fast, cut) = (
            _timed(lambda each=each: ablate(each, listed, results, classes=classes, progress=False))
            for each in (_PerMask(runner), runner)
        )
        assert (per_mask.rows, per_mask.curves) == (cut.rows, cut.curves)
        ratios.append(slow / fast)
    return median(ratios)


class _PerMask:
    """A runner that runs the whole model for each mask: it has no `run_masks`."""

    def __init__(self, runner: OnnxRunner) -> None:
        self._runner = runner
        self.inputs, self.layers, self.identity, self.name = runner.inputs, runner.layers, runner.identity, runner.name
        self.circumstance, self.metadata = runner.circumstance, runner.metadata

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[np.float32]]:
        """Return the units."""
        return self._runner(feeds)

    def run(self, feeds: Mapping[str, NDArray[Any]], masks: UnitMasks | None = None) -> Outputs:
        """Return the outputs under one mask."""
        return self._runner.run(feeds, masks)


def _timed(work: Callable[[], Ablation]) -> tuple[float, Ablation]:
    """Return how long `work` takes, and what it returns."""
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def _seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    for name, ratio in ablation_ratios().items():
        print(f"{name}: {ratio:.2f}")
    print(f"ablate, not cut / cut: {whole_ablation_ratio():.2f}")
