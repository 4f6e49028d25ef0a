"""What a run's files must agree on: the shape of `results.json`, and that layers and units add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sdmetrics.analysis.shape import (
    ANYTHING,
    COUNT,
    SEED,
    SKIPPED,
    Maybe,
    Number,
    OneOf,
    Shape,
    ShapeError,
    check_shape,
)
from sdmetrics.clips.manipulations.further import columns_of, further_of
from sdmetrics.metrics.classes import COUNTS, FACTORS, PERCENTS, UNIT_CLASSES
from sdmetrics.metrics.estimators import ESTIMATORS

ROUNDING = 1e-6

_ANY = Number(undefined=True)
_PERCENT = Number(0, 100, undefined=True)
_SCORE = Number(-1, 1, undefined=True)

LAYER: Shape = {
    "name": str,
    "units": Number(1, 2**53, whole=True),
    "pairs": dict.fromkeys(FACTORS, COUNT),
    "scores": dict.fromkeys(FACTORS, _ANY),
    "percent": dict.fromkeys(PERCENTS, _PERCENT),
    "ci95": {
        "scores": dict.fromkeys(FACTORS, (_ANY, _ANY)),
        "percent": {str: (_PERCENT, _PERCENT)},
    },
    "counts": dict.fromkeys(COUNTS, COUNT),
    "also": Maybe({str: {"pairs": COUNT, "score": _ANY, "ci95": (_ANY, _ANY)}}),
}
RESULTS: Shape = {
    "model": {str: ANYTHING},
    "seed": SEED,
    "estimator": OneOf(ESTIMATORS),
    "threshold": Number(-1, 1),
    "clips": {"used": COUNT, "looped": COUNT, "skipped": SKIPPED},
    "stopped": ANYTHING,
    "ran_on": [{str: ANYTHING}],
    "layers": [LAYER],
    "identity": str,
    "units": {"rows": COUNT, "sha256": str},
}
STOPPED: Shape = {
    "after_rounds": Number(1, 2**53, whole=True),
    "of_rounds": Number(1, 2**53, whole=True),
    "clips": COUNT,
    "of_clips": COUNT,
    "until": Number(0, 50),
    "until_units": Number(0, 100, undefined=True),
    "reached": bool,
    "widening": Number(1),
}
"""Where a run with a goal stopped; `null` without one."""

UNIT: dict[str, Shape] = {
    "layer": str,
    "unit": COUNT,
    **{f"{factor}{end}": _SCORE for factor in FACTORS for end in ("", "_low", "_high")},
    "label": OneOf(UNIT_CLASSES),
}
_SETTINGS: dict[str, Shape] = {
    "clips": {str: ANYTHING},
    "inputs": [{str: ANYTHING}],
    "layers": [str],
    "styles": {str: {str: ANYTHING}},
    "also": {str: {str: ANYTHING}},
}


def unit_shape(also: Sequence[str]) -> Shape:
    """Return the shape of a line of `units.csv` with the columns of further factors."""
    return {**UNIT, **dict.fromkeys(columns_of(also), _SCORE)}


def check_results(document: Mapping[str, Any], units: Sequence[Mapping[str, Any]]) -> None:
    """Raise a `ShapeError` where the layers of a run do not add up, or its units are not those of its layers.

    Parameters
    ----------
    document
        The content of `results.json`, of the shape `RESULTS`.
    units
        The rows of `units.csv`.
    """
    model = document["model"]
    check_shape(model.get("name", ""), str, "model.name")
    if model.get("step") is not None:
        check_shape(model["step"], COUNT, "model.step")
    for row in document["ran_on"]:
        check_shape(row.get("shards"), COUNT, "ran_on.shards")
    clips = document["clips"]
    if clips["looped"] > clips["used"]:
        raise ShapeError(f"{clips['looped']} of {clips['used']} clips are looped")
    if document["stopped"] is not None:
        _check_stopped(document["stopped"], clips)
    layers = document["layers"]
    names = [layer["name"] for layer in layers]
    if len(set(names)) < len(names):
        raise ShapeError("two layers have the same name")
    also = further_of(layers[0]) if layers else ()
    for layer in layers:
        _check_layer(layer)
        if tuple(layer.get("also", {})) != also:
            raise ShapeError(f"the further factors of layer {layer['name']!r} are not {', '.join(also) or 'none'}")
    expected = [(layer["name"], unit) for layer in layers for unit in range(layer["units"])]
    if [(row["layer"], row["unit"]) for row in units] != expected:
        raise ShapeError(f"units.csv does not have the {len(expected)} units of the layers, in order")
    labels = Counter((row["layer"], row["label"]) for row in units)
    undefined = Counter(row["layer"] for row in units if row["dynamic"] is None)
    for layer in layers:
        name, counts = layer["name"], layer["counts"]
        if any(labels[name, label] != counts[label] for label in UNIT_CLASSES) or counts["dead"] > undefined[name]:
            raise ShapeError(f"units.csv and results.json count the units of layer {name!r} differently")
    for row in units:
        _check_unit(row, document["threshold"])


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise a `ShapeError` where the settings of a run cannot be compared with those of others.

    Examples
    --------
    >>> check_settings({"clips": 5})
    Traceback (most recent call last):
    sdmetrics.analysis.shape.ShapeError: settings.clips is 5; expected an object
    """
    check_shape(settings, {key: _SETTINGS.get(key, ANYTHING) for key in settings}, "settings")
    check_shape([item.get("name") for item in settings.get("inputs", [])], [str], "settings.inputs.name")
    check_shape(settings.get("clips", {}).get("sha256", ""), str, "settings.clips.sha256")


def _check_stopped(stopped: Mapping[str, Any], clips: Mapping[str, Any]) -> None:
    """Check where a run stopped."""
    check_shape(stopped, STOPPED, "stopped")
    if stopped["after_rounds"] > stopped["of_rounds"] or stopped["clips"] > stopped["of_clips"]:
        raise ShapeError("the run stopped after more rounds or clips than there are")
    if clips["used"] + len(clips["skipped"]) != stopped["clips"]:
        raise ShapeError(f"the clips of the run are not the {stopped['clips']} after which it stopped")


def _check_layer(layer: Mapping[str, Any]) -> None:
    """Check that the numbers of a layer fit one another."""
    name, counts, percents = layer["name"], layer["counts"], [layer["percent"][key] for key in PERCENTS]
    if sum(counts[label] for label in UNIT_CLASSES) != layer["units"] or counts["dead"] > counts["residual"]:
        raise ShapeError(f"the classes of layer {name!r} do not add up to its {layer['units']} units")
    known = [value for value in percents if value is not None]
    if known and (len(known) < len(percents) or abs(sum(known) - 100) > ROUNDING):
        raise ShapeError(f"the percents of layer {name!r} do not add up to 100")
    if not set(layer["ci95"]["percent"]) <= set(PERCENTS):
        raise ShapeError(f"layer {name!r} has an interval of an unknown percent")
    for intervals in layer["ci95"].values():
        for low, high in intervals.values():
            _check_interval(low, high, f"layer {name!r}")
    for further in layer.get("also", {}).values():
        low, high = further["ci95"]
        _check_interval(low, high, f"layer {name!r}")


def _check_unit(row: Mapping[str, Any], threshold: float) -> None:
    """Check that a unit has the class of its scores (Eq. 3), and intervals in order."""
    encoded = [factor for factor in FACTORS if row[factor] is not None and row[factor] > threshold]
    undefined = any(row[factor] is None for factor in FACTORS)
    label = "residual" if undefined or not encoded else encoded[0] if len(encoded) == 1 else "joint"
    place = f"unit {row['unit']} of layer {row['layer']!r}"
    if row["label"] != label:
        raise ShapeError(f"{place} is {row['label']!r}, and its scores are those of {label!r}")
    for column in row:
        if column.endswith("_low"):
            _check_interval(row[column], row[f"{column.removesuffix('_low')}_high"], place)


def _check_interval(low: float | None, high: float | None, place: str) -> None:
    """Check that an interval has both ends, in order, or none."""
    if (low is None) != (high is None) or (low is not None and high is not None and low > high):
        raise ShapeError(f"an interval of {place} goes from {low} to {high}")
