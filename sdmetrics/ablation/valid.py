"""What the parts of `ablation.json` must agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from sdmetrics.ablation.plan import BASELINES
from sdmetrics.analysis.shape import ANYTHING, COUNT, SEED, SKIPPED, Number, OneOf, Shape, ShapeError
from sdmetrics.analysis.valid import ROUNDING
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.metrics.estimators import ESTIMATORS

_VALUE = Number()
_SHARE = Number(0, 1)
_INTERVAL: Shape = (Number(undefined=True), Number(undefined=True))
_POINT: dict[str, Shape] = {
    "layer": str,
    "ranking": OneOf((*FACTORS, *BASELINES)),
    "fraction": _SHARE,
    "removed": COUNT,
    "score": str,
    "mean": _VALUE,
}
_DIFFERENCE: dict[str, Shape] = {
    "layer": str,
    "factor": OneOf(FACTORS),
    "against": OneOf(BASELINES),
    "score": str,
    "difference": _VALUE,
    "ci95": _INTERVAL,
    "draws_above": COUNT,
}
ABLATION: Shape = {
    "model": {str: ANYTHING},
    "by": str,
    "seed": SEED,
    "repeats": COUNT,
    "clips": {"used": COUNT, "looped": COUNT, "skipped": SKIPPED},
    "scores": [str],
    "estimator": OneOf(ESTIMATORS),
    "threshold": Number(-1, 1),
    "units_sha256": str,
    "layers": [{"name": str, "units": COUNT, "dominant": OneOf(FACTORS)}],
    "ran_on": [{str: ANYTHING}],
    "rows": [{**_POINT, "seed": replace(SEED, undefined=True)}],
    "curves": [{**_POINT, "draws": COUNT, "lowest": _VALUE, "highest": _VALUE, "ci95": _INTERVAL}],
    "differences": [{**_DIFFERENCE, "fraction": _SHARE}],
    "overall": [_DIFFERENCE],
}

Row = Mapping[str, Any]


def check_ablation(document: Row) -> None:
    """Raise a `ShapeError` where curves and differences are not those of every layer, ranking, fraction and score.

    The document has the shape `ABLATION`.

    Examples
    --------
    >>> row = {"layer": "a", "factor": "static", "against": "random", "score": "top1"}
    >>> rows = {"layers": [], "scores": [], "rows": [], "curves": [], "differences": [], "overall": [row]}
    >>> check_ablation({"clips": {"used": 0, "looped": 0}, **rows})
    Traceback (most recent call last):
    sdmetrics.analysis.shape.ShapeError: overall does not have one row per layer, factor, against, score
    """
    clips = document["clips"]
    if clips["looped"] > clips["used"]:
        raise ShapeError(f"{clips['looped']} of {clips['used']} clips are looped")
    curves, scores = document["curves"], document["scores"]
    units = {layer["name"]: layer["units"] for layer in document["layers"]}
    factors = [factor for factor in FACTORS if any(point["ranking"] == factor for point in curves)]
    fractions = {point["fraction"] for point in curves}
    above = {fraction for fraction in fractions if fraction > 0}
    rankings = [*factors, *BASELINES] if curves else []
    _check_rows("curves", curves, {"layer": units, "ranking": rankings, "fraction": fractions, "score": scores})
    compared = {"layer": units, "factor": factors, "against": BASELINES, "score": scores}
    _check_rows("differences", document["differences"], {**compared, "fraction": above})
    _check_rows("overall", document["overall"], compared)
    drawn: dict[tuple[Any, ...], list[float]] = {}
    for row in document["rows"]:
        drawn.setdefault(_key(row), []).append(row["mean"])
    if drawn.keys() != {_key(point) for point in curves}:
        raise ShapeError("rows and curves are not of the same removals")
    for point in curves:
        means, most = drawn[_key(point)], units[point["layer"]]
        slack = ROUNDING * max(1.0, *map(abs, means))
        if (
            len(means) != point["draws"]
            or point["removed"] > most
            or abs(sum(means) / len(means) - point["mean"]) > slack
            or not min(means) == point["lowest"] <= point["highest"] == max(means)
        ):
            raise ShapeError(
                f"the curve of {point['layer']!r}, {point['ranking']}, fraction {point['fraction']:g} is not that of "
                "its draws"
            )


def _check_rows(name: str, rows: Iterable[Row], keys: Mapping[str, Iterable[object]]) -> None:
    """Check that there is one row for every combination of the keys' values."""
    expected = Counter(product(*keys.values()))
    if Counter(tuple(row[key] for key in keys) for row in rows) != expected or any(n > 1 for n in expected.values()):
        raise ShapeError(f"{name} does not have one row per {', '.join(keys)}")


def _key(row: Row) -> tuple[Any, ...]:
    """Return what a point of a curve is of."""
    return row["layer"], row["ranking"], row["fraction"], row["score"]
