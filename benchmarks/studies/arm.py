"""An arm of a study: models of one kind, one for each seed, and their measurements."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.studies.bank import Bank
from benchmarks.studies.models.recipe import Recipe

Record = Mapping[str, Any]

NOTHING = 100 / (2 + math.e)
"""Percent of Eq. 1 for scores of zero; used for a layer whose units are all dead."""


class Arm:
    """The measurements of models whose recipes differ only in their seed, one value for each."""

    def __init__(self, bank: Bank, recipes: Iterable[Recipe]) -> None:
        self.records = [bank.record(recipe) for recipe in recipes]

    @property
    def layers(self) -> list[str]:
        """The layers that were measured."""
        return [layer["name"] for layer in self.records[0]["biases"][-1]["layers"]]

    def values(self, measure: Callable[[Record], float]) -> list[float]:
        """Return a number taken from each record."""
        return [measure(record) for record in self.records]

    def percent(self, layer: str, factor: str, share: float = 1.0) -> list[float]:
        """Return the layer's percent of Eq. 1 after a share of the training."""
        percents = [_layer(record, layer, share)["percent"][factor] for record in self.records]
        return [NOTHING if value is None else value for value in percents]

    def units(self, layer: str, *classes: str) -> list[float]:
        """Return which percent of the layer's units are of these classes (Eq. 3)."""
        rows = [_layer(record, layer, 1.0) for record in self.records]
        return [100 * sum(row["counts"][name] for name in classes) / row["units"] for row in rows]

    def top1(self, label: str = "", where: str = "decorrelated", frames: str = "in_order") -> list[float]:
        """Return the top-1 in percent of one label; without a label, the mean over all."""
        top1 = [record["top1"][where][frames] for record in self.records]
        return [100 * _mean([row["top1"] for name, row in labels.items() if label in ("", name)]) for labels in top1]

    def top1_of(self, label: str, classes: slice) -> list[float]:
        """Return the mean top-1 in percent of some classes, on frames in order, without a shortcut through appearance.

        Classes that are not in the test set do not count.
        """
        by_class = [record["top1"]["decorrelated"]["in_order"][label]["by_class"][classes] for record in self.records]
        return [100 * _mean([value for value in values if value is not None] or [0.0]) for values in by_class]


def _layer(record: Record, name: str, share: float) -> Mapping[str, Any]:
    """Return the measurements of one layer after a share of the training."""
    layers: dict[tuple[str, float], Mapping[str, Any]] = {
        (layer["name"], measured["share"]): layer for measured in record["biases"] for layer in measured["layers"]
    }
    return layers[name, share]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
