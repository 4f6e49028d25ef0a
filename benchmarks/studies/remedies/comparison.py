"""Arms side by side: their measures, differences from the untreated one, and how far they close the gap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.studies.arm import Arm
from benchmarks.studies.means import Mean, paired, relative
from benchmarks.studies.remedies.arms import CEILING, NONE
from benchmarks.studies.remedies.ranks import Agreement, agreement
from benchmarks.studies.remedies.training import FEATURES
from benchmarks.studies.study import FAILS, HOLDS, OPEN, Finding, Table

TOP1, SHORTCUT, FOLLOWS = "top-1, no shortcut", "top-1, shortcut", "follows appearance"
SHUFFLED, FREE = "shuffled/normal", "top-1, appearance-free"
DYNAMIC_UNITS, STATIC_UNITS, RESIDUAL_UNITS = "dynamic units", "static units", "residual units"
APPEARANCE, MOTION, TIME = "probe: appearance", "probe: motion", "time of a step"


def shuffled(arm: Arm) -> list[float]:
    """Return the top-1 on shuffled frames in percent of that in order."""
    return relative(arm.top1(frames="shuffle"), arm.top1())


def lean(arm: Arm) -> list[float]:
    """Return dynamic minus static units, in percent of all."""
    return [a - b for a, b in zip(arm.units(FEATURES, "dynamic"), arm.units(FEATURES, "static"), strict=True)]


Measures = Mapping[str, Callable[[Arm], list[float]]]
"""Measures of an arm by name, each a value for every seed."""

MEASURES: Measures = {
    TOP1: lambda arm: arm.top1(),
    SHORTCUT: lambda arm: arm.top1(where="alike"),
    FOLLOWS: lambda arm: arm.values(lambda record: 100 * record["follows_appearance"]),
    SHUFFLED: shuffled,
    FREE: lambda arm: arm.top1(frames="appearance-free"),
    DYNAMIC_UNITS: lambda arm: arm.units(FEATURES, "dynamic"),
    STATIC_UNITS: lambda arm: arm.units(FEATURES, "static"),
    "joint units": lambda arm: arm.units(FEATURES, "joint"),
    RESIDUAL_UNITS: lambda arm: arm.units(FEATURES, "residual"),
    APPEARANCE: lambda arm: arm.values(lambda record: 100 * record["probe"]["appearance"]),
    MOTION: lambda arm: arm.values(lambda record: 100 * record["probe"]["motion"]),
    TIME: lambda arm: arm.values(lambda record: record["relative_time"]),
}

OF_NOISE = "higher top-1, appearance-free"
BEHAVIOUR: Measures = {
    "lower shuffled/normal": lambda arm: [-value for value in shuffled(arm)],
    "higher top-1, no shortcut": MEASURES[TOP1],
    "fewer answers that follow appearance": lambda arm: [-value for value in MEASURES[FOLLOWS](arm)],
    OF_NOISE: MEASURES[FREE],
}
"""What a model does if it is more dynamic: the more, the higher."""


class Comparison:
    """The measures of some arms, by seed; all arms share their seeds."""

    def __init__(self, arms: Mapping[str, Arm], further: Measures | None = None) -> None:
        self.arms, self.measures = dict(arms), {**MEASURES, **(further or {})}

    def __contains__(self, arm: str) -> bool:
        return arm in self.arms

    def _values(self, arm: str, measure: str) -> list[float]:
        return self.measures[measure](self.arms[arm])

    def mean(self, arm: str, measure: str) -> Mean:
        """Return the mean of a measure."""
        return Mean.of(self._values(arm, measure))

    def minus(self, arm: str, other: str, measure: str = TOP1) -> Mean:
        """Return the difference between two arms."""
        return paired(self._values(arm, measure), self._values(other, measure))

    def closed(self, arm: str) -> float:
        """Return which percent of the gap between no remedy and no shortcut an arm closes."""
        gap = self.minus(CEILING, NONE).value
        return 100 * self.minus(arm, NONE).value / gap if gap else 0.0

    def beyond(self, arm: str, share: float, whole: str = CEILING) -> Mean:
        """Return how much more than a share of what another arm gains an arm gains, in points."""
        none = self._values(NONE, TOP1)
        rows = zip(self._values(arm, TOP1), self._values(whole, TOP1), none, strict=True)
        return Mean.of([ours - start - share * (theirs - start) for ours, theirs, start in rows])

    def table(self, title: str) -> Table:
        """Return all measures of all arms."""
        rows = [(arm, *(str(self.mean(arm, measure)) for measure in self.measures)) for arm in self.arms]
        return Table(title, ("arm", *self.measures), rows)

    def differences(self, title: str) -> Table:
        """Return the differences from the untreated arm."""
        rows = [
            (arm, *(str(self.minus(arm, NONE, measure)) for measure in self.measures))
            for arm in self.arms
            if arm != NONE
        ]
        return Table(title, ("arm", *self.measures), rows)

    def points(self, **where: str) -> list[dict[str, Any]]:
        """Return the numbers for figures and pages: means, and differences from the untreated arm."""
        return [
            {
                **where,
                "arm": arm,
                "measure": measure,
                **self.mean(arm, measure).json(),
                "difference": self.minus(arm, NONE, measure).json(),
            }
            for arm in self.arms
            for measure in self.measures
        ]

    def changes(self, measure: Callable[[Arm], list[float]], without: frozenset[str] = frozenset()) -> list[float]:
        """Return the mean change from the untreated arm, by arm."""
        start = measure(self.arms[NONE])
        return [
            paired(measure(one), start).value for arm, one in self.arms.items() if arm != NONE and arm not in without
        ]


def validity(found: Mapping[str, Agreement]) -> Finding:
    """Return whether the metric and the behaviour agree, by the intervals of all kinds but noise, which is a test of
    its own: where no arm sees it, there is nothing to agree with.
    """
    judged = [agreement for name, agreement in found.items() if name != OF_NOISE]
    words = "; ".join(f"{name}: {agreement}" for name, agreement in found.items())
    return Finding(
        "Arms that the metric reports to be more dynamic behave so: they rank alike.",
        f"Spearman's ρ over {judged[0].pairs} arms, of the change of dynamic − static units, with {words}",
        HOLDS if all(a.low > 0 for a in judged) else FAILS if all(a.high < 0 for a in judged) else OPEN,
    )


def agreements(*compared: Comparison, without: frozenset[str] = frozenset()) -> dict[str, Agreement]:
    """Return how the change of dynamic − static units agrees with that of each kind of behaviour, over arms."""

    def joined(measure: Callable[[Arm], list[float]]) -> list[float]:
        return [change for one in compared for change in one.changes(measure, without)]

    reported = joined(lean)
    return {name: agreement(reported, joined(measure)) for name, measure in BEHAVIOUR.items()}
