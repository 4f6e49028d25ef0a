"""Made-up results, as an analysis would return them: for tests of what shows or checks results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sdmetrics.analysis.results import Results

# Mean dynamic and static score by layer: a model that learns motion, and one that learns appearance.
MOTION = {"stage1": (0.48, 0.71), "stage2": (0.55, 0.66), "stage3": (0.66, 0.55), "stage4": (0.78, 0.44)}
APPEARANCE = {"stage1": (0.45, 0.72), "stage2": (0.40, 0.80), "stage3": (0.34, 0.88), "stage4": (0.26, 0.95)}


def run(
    layers: Mapping[str, tuple[float, float]] = MOTION,
    *,
    name: str = "motion",
    units: int = 64,
    dead: int = 0,
    pairs: int = 300,
    intervals: bool = True,
    threshold: float = 0.5,
    seed: int = 0,
    skipped: Sequence[tuple[str, str]] = (),
) -> Results:
    """Return results whose units scatter about each layer's mean dynamic and static score.

    `dead` units of each layer have no scores; with fewer than two `pairs` nothing has.
    """
    rng = np.random.default_rng(seed)
    results = Results(
        model={
            "name": name,
            "model_sha256": "9f2c4e" * 10 + "a1b2",
            "framework": "torch 2.9.0",
            "precision": "float32",
        },
        seed=seed,
        estimator="pearson",
        threshold=threshold,
        clips={"used": pairs, "looped": 0, "skipped": [{"id": i, "reason": r} for i, r in skipped]},
        settings={
            "inputs": [{"name": "video", "frames": 8, "stride": 8, "size": [224, 224], "layout": "NCTHW"}],
            "seed": seed,
            "styles": {name: {"built_in": "version 1"} for name in ("ink", "oil", "dusk", "relief")},
        },
        ran_on=[{"shards": 20, "runtime": "onnxruntime 1.32.0", "provider": "cpu", "threads": 2, "batch": 6}],
    )
    for layer, means in layers.items():
        scores = np.tanh(np.arctanh(means) + 0.55 * rng.standard_normal((units, 2)))
        scores[units - dead :] = math.nan
        if pairs < 2:
            scores[:] = math.nan
        rows = [_unit(layer, unit, pair, threshold, intervals, pairs) for unit, pair in enumerate(scores)]
        results.units += rows
        results.layers.append(_layer(layer, rows, scores, pairs, intervals))
    return results


def _unit(layer: str, unit: int, scores: np.ndarray, threshold: float, intervals: bool, pairs: int) -> dict[str, Any]:
    """Return one row of `units.csv`, classed by Eq. 3."""
    dynamic, static = (bool(score > threshold) for score in scores)
    row: dict[str, Any] = {"layer": layer, "unit": unit}
    for factor, score in zip(("dynamic", "static"), scores, strict=True):
        known = math.isfinite(score)
        spread = 2 / math.sqrt(pairs) if pairs else math.nan
        row[factor] = float(score) if known else None
        for end, sign in (("low", -1), ("high", 1)):
            bounded = known and intervals
            row[f"{factor}_{end}"] = math.tanh(math.atanh(score) + sign * spread) if bounded else None
    row["label"] = "joint" if dynamic and static else "dynamic" if dynamic else "static" if static else "residual"
    return row


def _layer(
    name: str, rows: Sequence[Mapping[str, Any]], scores: np.ndarray, pairs: int, intervals: bool
) -> dict[str, Any]:
    """Return one entry of the layers in `results.json`, its percents by Eq. 1."""
    alive = scores[np.isfinite(scores).all(axis=1)]
    means = dict(zip(("dynamic", "static"), alive.mean(axis=0).tolist(), strict=True)) if len(alive) else None
    weights = {f: math.exp(s) for f, s in {**(means or {}), "identical": 1.0}.items()}
    percent = {f: 100 * w / sum(weights.values()) for f, w in weights.items()}
    undefined = {"dynamic": None, "static": None}
    counts = {label: sum(row["label"] == label for row in rows) for label in ("dynamic", "static", "joint", "residual")}

    def around(values: Mapping[str, float | None], spread: float) -> dict[str, list[float | None]]:
        known = intervals and means is not None
        return {f: [v - spread, v + spread] if known and v is not None else [None, None] for f, v in values.items()}

    percents = percent if means else {**undefined, "identical": None}
    return {
        "name": name,
        "units": len(rows),
        "pairs": {"dynamic": pairs, "static": pairs},
        "scores": means or undefined,
        "percent": percents,
        "ci95": {"scores": around(means or undefined, 0.045), "percent": around(percents, 0.9)},
        "counts": {**counts, "dead": len(rows) - len(alive)},
    }
