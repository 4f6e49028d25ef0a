"""The rows of `results.json` and `units.csv`, from the moments of a layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sdmetrics.metrics.bias import layer_bias, unit_bias
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.metrics.moments import PairMoments

Row = dict[str, Any]


def summarize(
    name: str, groups: Sequence[Mapping[str, PairMoments]], estimator: str, threshold: float
) -> tuple[Row, list[Row]]:
    """Return the row of a layer and the rows of its units; `groups` holds each group's moments by factor.

    What is undefined is `None`. Further factors change none of the numbers of the paper's.
    """
    factors = {factor: [group[factor] for group in groups] for factor in FACTORS}
    layer = layer_bias(factors, estimator=estimator)
    units = unit_bias(factors, threshold=threshold, estimator=estimator)
    if layer.ci95 is None or units.ci95 is None:
        raise AssertionError("moments that are given by group have intervals")
    layer_row = {
        "name": name,
        "units": len(units.labels),
        "pairs": {factor: sum(m.n for m in moments) for factor, moments in factors.items()},
        "scores": {factor: _defined(value) for factor, value in layer.scores.items()},
        "percent": {factor: _defined(value) for factor, value in layer.percent.items()},
        "ci95": {
            kind: {factor: _bounds(ends) for factor, ends in intervals.items()}
            for kind, intervals in (("scores", layer.ci95.scores), ("percent", layer.ci95.percent))
        },
        "counts": dict(units.counts),
    }
    also: Row = {}
    more: dict[str, tuple[Any, Any, Any]] = {}
    for factor in (name for name in groups[0] if name not in FACTORS):
        both = {**factors, factor: [group[factor] for group in groups]}
        one, each = layer_bias(both, estimator=estimator), unit_bias(both, threshold=threshold, estimator=estimator)
        assert one.ci95 is not None
        assert each.ci95 is not None
        bounds = _bounds(one.ci95.scores[factor])
        also[factor] = {"pairs": one.pairs[factor], "score": _defined(one.scores[factor]), "ci95": bounds}
        more[factor] = (each.scores[factor], *each.ci95[factor])
    if also:
        layer_row["also"] = also
    unit_rows = []
    for unit, label in enumerate(units.labels):
        row: Row = {"layer": name, "unit": unit}
        for factor in FACTORS:
            low, high = units.ci95[factor]
            row[factor] = _defined(units.scores[factor][unit])
            row[f"{factor}_low"], row[f"{factor}_high"] = _bounds((low[unit], high[unit]))
        row["label"] = str(label)
        for factor, (scores, lows, highs) in more.items():
            row[factor] = _defined(scores[unit])
            row[f"{factor}_low"], row[f"{factor}_high"] = _bounds((lows[unit], highs[unit]))
        unit_rows.append(row)
    return layer_row, unit_rows


def _defined(value: float) -> float | None:
    """Return a number that JSON can hold, or `None` where it is undefined."""
    return float(value) if math.isfinite(value) else None


def _bounds(values: Iterable[float]) -> list[float | None]:
    """Return an interval's two ends, `None` where undefined."""
    return [_defined(value) for value in values]
