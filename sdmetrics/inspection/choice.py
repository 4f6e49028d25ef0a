"""Which units are looked at, and which clips show what a unit responds to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.analysis.results import Results
from sdmetrics.clips.views import PAIRS
from sdmetrics.errors import InputError
from sdmetrics.metrics.classes import UNIT_CLASSES

Row = Mapping[str, Any]

TYPICAL: Mapping[str, Callable[[float, float], float]] = {
    "dynamic": lambda dynamic, static: dynamic - static,
    "static": lambda dynamic, static: static - dynamic,
    "joint": min,
    "residual": lambda dynamic, static: -max(abs(dynamic), abs(static)),
}
"""How typical a unit of a class is, by its two scores."""


def typical_units(results: Results, layer: str, count: int) -> list[Row]:
    """Return the rows of the `count` most typical units of each class in a layer, without dead units.

    Typical is a dynamic unit whose dynamic score exceeds its static score most, a static unit the other way round, a
    joint unit whose lower score is highest, a residual unit whose scores are nearest to 0.

    Examples
    --------
    >>> from sdmetrics.report.example import example_run
    >>> [(row["unit"], row["label"]) for row in typical_units(example_run(), "stage4", 2)]
    [(0, 'dynamic')]
    """
    alive = [row for row in _units_of(results, layer) if row["dynamic"] is not None and row["static"] is not None]
    chosen = []
    for label in UNIT_CLASSES:
        of_class = [row for row in alive if row["label"] == label]
        of_class.sort(key=lambda row, label=label: -TYPICAL[label](row["dynamic"], row["static"]))  # type: ignore[misc]
        chosen += of_class[:count]
    return chosen


def named_units(results: Results, layer: str, units: Sequence[int]) -> list[Row]:
    """Return the rows of some units of a layer, in the order given, each once.

    Raises
    ------
    InputError
        If there is no such layer or unit.

    Examples
    --------
    >>> from sdmetrics.report.example import example_run
    >>> named_units(example_run(), "stage4", [7])
    Traceback (most recent call last):
    sdmetrics.errors.InputError: layer 'stage4' has no unit 7; it has 1: 0 to 0
    """
    rows = {row["unit"]: row for row in _units_of(results, layer)}
    for unit in units:
        if unit not in rows:
            raise InputError(f"layer {layer!r} has no unit {unit}; it has {len(rows)}: 0 to {len(rows) - 1}")
    return [rows[unit] for unit in dict.fromkeys(units)]


def strengths(responses: NDArray[np.floating[Any]], label: str) -> NDArray[np.float64]:
    """Return how strongly a unit responds to each clip, `(clips,)`, given its responses `(clips, views)`.

    It is the mean over the views that share what the unit encodes: both of the dynamic pair for a dynamic unit, both of
    the static pair for a static one, all for a joint one; the first view for a residual one.

    Examples
    --------
    >>> strengths(np.array([[1.0, 3.0, 8.0]]), "dynamic").tolist()
    [2.0]
    """
    views = PAIRS.get(label, (0, 1, 2) if label == "joint" else (0,))
    return np.asarray(responses[:, list(views)].mean(axis=1, dtype=np.float64))


def extremes(strength: NDArray[np.float64], count: int) -> tuple[list[int], list[int]]:
    """Return the places of the `count` highest values, the highest first, and of the lowest, the lowest first.

    No place is in both; equal values are in the order of the clips.

    Examples
    --------
    >>> extremes(np.array([0.5, 0.1, 0.9, 0.1]), 2)
    ([2, 0], [1, 3])
    """
    high = min(count, len(strength) - len(strength) // 2)
    highest = np.argsort(-strength, kind="stable")[:high].tolist()
    lowest = [place for place in np.argsort(strength, kind="stable").tolist() if place not in highest]
    return highest, lowest[: min(count, len(strength) // 2)]


def _units_of(results: Results, layer: str) -> list[Row]:
    """Return the rows of the units of a layer."""
    name = results.layer(layer)["name"]
    return [row for row in results.units if row["layer"] == name]
