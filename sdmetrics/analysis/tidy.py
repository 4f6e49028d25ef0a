"""Results as long and tidy rows: one per layer and factor, or one per unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sdmetrics._tables import Columns

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
    "units_of_class": int,
    "units_joint": int,
    "units_residual": int,
    "units_dead": int,
}  # fmt: skip
"""The columns of `layer_rows`."""


def layer_rows(layers: Sequence[Row]) -> list[dict[str, Any]]:
    """Return one row per layer and factor that was measured; the numbers of joint, residual and dead units repeat.

    Examples
    --------
    >>> layer = {"name": "a", "units": 4, "pairs": {"static": 9}, "scores": {"static": 0.9}, "ci95": {},
    ...          "percent": {"static": 39.0}, "counts": {"static": 3, "joint": 0, "residual": 1, "dead": 0}}
    >>> rows = layer_rows([layer])
    >>> len(rows), rows[0]["factor"], rows[0]["percent"], rows[0]["units_of_class"], rows[0]["score_low"]
    (1, 'static', 39.0, 3, None)
    """
    return [
        {
            "layer": layer["name"],
            "factor": factor,
            "units": layer["units"],
            "pairs": layer["pairs"][factor],
            **_bounded("score", score, layer["ci95"].get("scores", {}).get(factor)),
            **_bounded("percent", layer["percent"][factor], layer["ci95"].get("percent", {}).get(factor)),
            "units_of_class": layer["counts"][factor],
            **{f"units_{label}": layer["counts"][label] for label in ("joint", "residual", "dead")},
        }
        for layer in layers
        for factor, score in layer["scores"].items()
    ]


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
