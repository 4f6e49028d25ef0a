"""The tables of docs/real_models.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from benchmarks.real.networks import Network
from sdmetrics.analysis.results import Results
from sdmetrics.comparison.compare import Comparison
from sdmetrics.metrics.classes import FACTORS, UNIT_CLASSES
from sdmetrics.report.words import estimate, interval, known, number

Row = Sequence[str]


@dataclass(frozen=True)
class Measured:
    """A network with what was measured."""

    network: Network
    framework: str
    error: float
    """The largest difference between framework and ONNX file, relative to the tensor's scale."""
    results: Results


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def network_table(measured: Sequence[Measured]) -> str:
    """Return which networks were measured, on how many clips, and how far their exports are from them."""
    head = ("network", "exported from", "largest error of the export", "layers", "units", "dead", "clips", "looped")
    return table(head, [_network_row(each) for each in measured])


def _network_row(each: Measured) -> Row:
    layers, clips = each.results.layers, each.results.clips
    units, dead = (
        sum(counts) for counts in zip(*((row["units"], row["counts"]["dead"]) for row in layers), strict=True)
    )
    counts = (len(layers), units, dead, clips["used"], clips["looped"])
    return (each.network.title, each.framework, f"{each.error:.1e}", *map(str, counts))


def live_table(pairs: Mapping[str, tuple[Results, Results]]) -> str:
    """Return how far a network that runs as it is, and its export, are apart."""
    head = ("network", "clips", "unit score", "layer percent", "units in another class")
    return table(head, [_live_row(title, *pair) for title, pair in pairs.items()])


def _live_row(title: str, live: Results, exported: Results) -> Row:
    units = list(zip(live.units, exported.units, strict=True))
    layers = list(zip(live.layers, exported.layers, strict=True))
    scores = _largest((a[factor], b[factor]) for a, b in units for factor in FACTORS)
    percents = _largest((a["percent"][factor], b["percent"][factor]) for a, b in layers for factor in FACTORS)
    moved = sum(a["label"] != b["label"] for a, b in units)
    return title, str(live.clips["used"]), f"{scores:.1e}", f"{percents:.1e}", f"{moved} of {len(units)}"


def _largest(pairs: Iterator[tuple[float | None, float | None]]) -> float:
    """Return the largest difference between values that both sides have."""
    return max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=0.0)


def layer_table(results: Results) -> str:
    """Return a network layer by layer: percents (Eq. 1) with intervals, and units by class (Eq. 3)."""
    head = ("layer", "static, %", "dynamic, %", *(f"{name} units" for name in UNIT_CLASSES), "of")
    rows = []
    for row in results.layers:
        percents = (estimate(row["percent"][f], interval(row, "percent", f), 1) for f in ("static", "dynamic"))
        counts = (str(row["counts"][name]) for name in UNIT_CLASSES)
        rows.append((row["name"], *percents, *counts, str(row["units"])))
    return table(head, rows)


def summary_table(comparisons: Mapping[str, Comparison]) -> str:
    """Return for each pair of networks how far their layers are apart, in points of a percent."""
    head = (
        "networks", "layers", "static: mean, largest difference", "dynamic: mean, largest difference",
        "intervals without 0: static", "dynamic",
    )  # fmt: skip
    return table(head, [_summary_row(title, comparison) for title, comparison in comparisons.items()])


def _summary_row(title: str, comparison: Comparison) -> Row:
    rows = comparison.differences
    sizes, apart = [], []
    for factor in ("static", "dynamic"):
        changes = [abs(row[f"percent_{factor}"]) for row in rows if row[f"percent_{factor}"] is not None]
        sizes.append(f"{mean(changes):.1f}, {max(changes):.1f}" if changes else "–")
        apart.append(f"{sum(_without_0(row, factor) for row in rows)} of {len(rows)}")
    return title, str(len(rows)), *sizes, *apart


def _without_0(row: Mapping[str, Any], factor: str) -> bool:
    """Return whether a difference's interval is on one side of 0."""
    bounds = _bounds(row, factor)
    return bounds is not None and (bounds[0] > 0 or bounds[1] < 0)


def _bounds(row: Mapping[str, Any], factor: str) -> tuple[float, float] | None:
    return known((row[f"percent_{factor}_low"], row[f"percent_{factor}_high"]))


def difference_table(comparison: Comparison) -> str:
    """Return the paired differences of two networks, layer by layer."""
    head = ("layer", "static, points", "dynamic, points", "static units, points", "dynamic units, points")
    rows = []
    for row in comparison.differences:
        changes = (estimate(row[f"percent_{f}"], _bounds(row, f), 1) for f in ("static", "dynamic"))
        shares = (number(row[f"share_{name}"], 1) for name in ("static", "dynamic"))
        rows.append((row["from_layer"], *changes, *shares))
    return table(head, rows)
