"""Results as long and tidy rows: one per layer and factor, or one per unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sdmetrics._tables import Columns
from sdmetrics.clips.manipulations.further import encoding

Row = Mapping[str, Any]

LAYERS: Columns = {
    "layer": str,
    "factor": str,
    "units": int,
    "pairs": int,
    "score": float,
    "score_low": float,
    "score_high": float,
    "percent": float,
    "percent_low": float,
    "percent_high": float,
    "units_encoding": int,
    "units_of_class": float,  # undefined for further factors
    "units_joint": int,
    "units_residual": int,
    "units_dead": int,
}  # fmt: skip
"""The columns of `layer_rows`."""


def layer_rows(layers: Sequence[Row], units: Sequence[Row], threshold: float) -> list[dict[str, Any]]:
    """Return one row per layer and factor that was measured; the numbers of joint, residual and dead units repeat.

    Those of further factors, which have neither percent nor class, come after the two of the paper.

    Examples
    --------
    >>> layer = {"name": "a", "units": 4, "pairs": {"static": 9}, "scores": {"static": 0.9}, "ci95": {},
    ...          "percent": {"static": 39.0}, "counts": {"static": 3, "joint": 0, "residual": 1, "dead": 0}}
    >>> rows = layer_rows([layer], [{"layer": "a", "static": 0.8}] * 3 + [{"layer": "a", "static": 0.2}], 0.5)
    >>> len(rows), rows[0]["factor"], rows[0]["percent"], rows[0]["units_encoding"], rows[0]["score_low"]
    (1, 'static', 39.0, 3, None)
    """
    rows = []
    for layer in layers:
        of_layer = [unit for unit in units if unit["layer"] == layer["name"]]
        ci95, also = layer["ci95"], layer.get("also", {})
        scores = {name: (score, ci95.get("scores", {}).get(name)) for name, score in layer["scores"].items()}
        scores |= {name: (further["score"], further["ci95"]) for name, further in also.items()}
        pairs = {**layer["pairs"], **{name: further["pairs"] for name, further in also.items()}}
        rows += [
            {
                "layer": layer["name"],
                "factor": factor,
                "units": layer["units"],
                "pairs": pairs[factor],
                **_bounded("score", score, ends),
                **_bounded("percent", layer["percent"].get(factor), ci95.get("percent", {}).get(factor)),
                "units_encoding": encoding(of_layer, factor, threshold),
                "units_of_class": layer["counts"].get(factor),
                **{f"units_{label}": layer["counts"][label] for label in ("joint", "residual", "dead")},
            }
            for factor, (score, ends) in scores.items()
        ]
    return rows


def unit_columns(names: Sequence[str]) -> Columns:
    """Return the columns of `units.csv` with their types.

    Examples
    --------
    >>> unit_columns(["layer", "unit", "dynamic"])["unit"] is int
    True
    """
    kinds: Mapping[str, type[str] | type[int]] = {"layer": str, "label": str, "unit": int}
    return {name: kinds.get(name, float) for name in names}


def _bounded(name: str, value: float | None, ends: Sequence[float | None] | None) -> dict[str, float | None]:
    """Return a number and the ends of its interval, side by side."""
    low, high = (None, None) if ends is None else ends
    return {name: value, f"{name}_low": low, f"{name}_high": high}
