"""The table of what a model keeps when clips are manipulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.table import Table

from sdmetrics.cli.console.tables import Estimate, plain_table
from sdmetrics.report.words import estimate, known

Score = Mapping[str, Any]


def percent(score: Score) -> Estimate:
    """Format a share in percent, with its 95 % interval."""
    return _formatted(score, 100, 1)


def _correlation(score: Score) -> Estimate:
    """Format a correlation, with its 95 % interval."""
    return _formatted(score, 1, 2)


def _formatted(score: Score, scale: float, digits: int) -> Estimate:
    bounds = known(score["ci95"])
    value = None if score["value"] is None else scale * score["value"]
    return Estimate(estimate(value, bounds and (scale * bounds[0], scale * bounds[1]), digits))


COLUMNS: Mapping[str, tuple[str, Callable[[Score], Estimate]]] = {
    "top1": ("top-1 %", percent),
    "top1_ratio": ("relative\ntop-1 %", percent),
    "top5": ("top-5 %", percent),
    "top5_ratio": ("relative\ntop-5 %", percent),
    "miou": ("mean IoU %", percent),
    "miou_ratio": ("relative\nIoU %", percent),
    "success_mean": ("success,\nmean %", percent),
    "agreement": ("same\nprediction %", percent),
    "correlation": ("correlation\nof scores", _correlation),
}
ONLY_WITHOUT_LABELS = ("agreement", "correlation")


def manipulation_table(manipulated: Mapping[str, Mapping[str, Score]]) -> Table:
    """Return a table with a row for each manipulation: accuracy or IoU, and how much is kept.

    Without either: whether predictions stay, and how scores correlate with those of the clips as they are.
    """
    some = next(iter(manipulated.values()))
    scored = any(name in some for name in COLUMNS if name not in ONLY_WITHOUT_LABELS)
    shown = [name for name in COLUMNS if name in some and not (scored and name in ONLY_WITHOUT_LABELS)]
    rows = [(name, *(COLUMNS[column][1](scores[column]) for column in shown)) for name, scores in manipulated.items()]
    titles = [COLUMNS[column][0] for column in shown]
    return plain_table("manipulated clips, relative to the clips as they are", ["clips", *titles], rows)
