"""A tiny model in NumPy whose units can be removed, clips that it classifies, and a run that ranks its units."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from sdmetrics.ablation.ablate import ablate
from sdmetrics.analysis.results import Results
from sdmetrics.clips import Clip
from sdmetrics.probes.inputs import ModelInput

CLASSES, UNITS = 4, 20
SIGNAL = 7
"""The unit that carries the class."""
CLASS_INDICES = {str(index): index for index in range(CLASSES)}


class Linear:
    """Units that a matrix turns into class scores; the grey of a clip's first frame is its class in unit `SIGNAL`."""

    inputs = (ModelInput("video", frames=2, stride=1, size=(4, 4)),)
    name = "linear"
    identity: ClassVar = {"model_sha256": "ab" * 32}

    def __init__(self, deaf: tuple[str, ...] = (), noise: float = 0.0) -> None:
        self.layers = ["early", "late"]
        self.deaf = deaf
        self.noise = noise
        self.runs: list[dict[str, np.ndarray]] = []

    def units(self, fed):
        classes = fed["rgb"][:, 0, 0, 0, 0].astype(int) // 10
        rows = [np.random.default_rng(int(frames.astype(int).sum())).normal(size=UNITS) for frames in fed["rgb"]]
        units = self.noise * np.array(rows)
        units[:, SIGNAL] = classes - 1.5
        return units

    def __call__(self, fed):
        return {layer: self.units(fed) for layer in self.layers}

    def run(self, fed, masks=None):
        masks = dict(masks or {})
        self.runs.append(masks)
        kept = self.units(fed)
        for layer, mask in masks.items():
            if layer not in self.deaf:
                kept = kept * mask
        slopes = np.arange(CLASSES) - 1.5
        return {"logits": kept[:, [SIGNAL]] * slopes - 0.5 * slopes**2 + 0.3 * kept.sum(axis=1, keepdims=True) * slopes}


def clips_of(count, videos=None):
    def clip(i):
        def load():
            frames = np.random.default_rng(i).integers(0, 256, (2, 4, 4, 3), np.uint8)
            frames[0, 0, 0, 0] = 10 * (i % CLASSES)
            return frames

        return Clip(f"clip-{i:03d}", load, video=f"video {i % (videos or count)}", label=str(i % CLASSES))

    return [clip(i) for i in range(count)]


def results_of(layers=("early", "late"), *, seed=0, **edits):
    """A run whose unit `SIGNAL` is the most dynamic; scores of the others are lower, and differ."""
    rng = np.random.default_rng(seed)
    units = []
    for layer in layers:
        scores = {factor: rng.uniform(-0.2, 0.7, UNITS) for factor in ("dynamic", "static")}
        scores["dynamic"][SIGNAL], scores["static"][SIGNAL] = 0.95, -0.3
        units += [
            {"layer": layer, "unit": unit, "label": "joint"} | {f: float(scores[f][unit]) for f in scores}
            for unit in range(UNITS)
        ]
    rows = [{"name": layer, "units": UNITS} for layer in layers]
    made = Results(
        {"name": Linear.name, **Linear.identity},
        0,
        "pearson",
        0.5,
        {"used": 9, "looped": 0, "skipped": []},
        rows,
        units,
    )
    return replace(made, **edits)


CLIPS = clips_of(48, videos=24)


def quickly(runner=None, clips=CLIPS, results=None, **arguments):
    arguments = {"fractions": (0.1, 0.5), "repeats": 3, "progress": False, "classes": CLASS_INDICES} | arguments
    return ablate(runner or Linear(noise=1), clips, results or results_of(), **arguments)


def curve(ablation, ranking, fraction, score="top1", layer="late"):
    (point,) = (
        p
        for p in ablation.curves
        if (p["layer"], p["ranking"], p["fraction"], p["score"]) == (layer, ranking, fraction, score)
    )
    return point
