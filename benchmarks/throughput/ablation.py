"""Measure what the masks of an ablation cost, against one forward of its clips and against the whole model per mask."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from sdmetrics.demo import demo_model
from sdmetrics.loading.open import open_model
from sdmetrics.probes.feeds import random_feeds

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


def _seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    for name, ratio in ablation_ratios().items():
        print(f"{name}: {ratio:.2f}")
