"""Until: when a run is sure enough to stop, decided after each of its rounds of shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sdmetrics.analysis.shards import LayerMoments, Slice
from sdmetrics.metrics._arguments import between
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.bias import SCORE_RANGE, layer_bias, unit_bias
from sdmetrics.metrics.classes import FACTORS

LEAST_ROUNDS = 5
"""No run stops before this many rounds: 200 clips, where all groups have so many."""

WIDENING = 1.05
"""The intervals of a run that stopped are wider by this factor, in the rule and in the results: it stopped the sooner,
the narrower they happened to be. docs/coverage.md, "Runs that stop when they are sure", shows that it is enough."""


@dataclass(frozen=True)
class Until:
    """When a run is sure enough.

    Parameters
    ----------
    points
        The 95 % interval of each percent of each layer is at most ± that many points: half of its width.
    units
        At most that percent of each layer's units could change class: the interval of one of their scores contains the
        threshold, or is undefined though the score is not. `None`: any number of them.

    Raises
    ------
    InputError
        If `points` is not 0.01 to 50, or `units` not 0 to 100.

    Examples
    --------
    >>> Until(1.0)
    Until(points=1.0, units=None)
    """

    points: float
    units: float | None = None

    def __post_init__(self) -> None:
        hint = "It is half of the width of a percent's interval, in points"
        object.__setattr__(self, "points", between("until", self.points, 0.01, 50, hint))
        if self.units is not None:
            object.__setattr__(
                self, "units", between("until_units", self.units, 0, 100, "It is a percent of the units")
            )

    @classmethod
    def of(cls, until: float | Until | None) -> Until | None:
        """Return what an argument `until` means."""
        return until if isinstance(until, Until) or until is None else cls(until)

    def holds(self, groups: Sequence[LayerMoments], layers: Sequence[str], estimator: str, threshold: float) -> bool:
        """Return whether the moments of some rounds, by group, are sure enough; undefined intervals never are."""
        filled = [group for group in groups if group]
        return bool(filled) and all(
            self._holds({f: [group[layer][f] for group in filled] for f in FACTORS}, estimator, threshold)
            for layer in layers
        )

    def _holds(self, factors: Mapping[str, Any], estimator: str, threshold: float) -> bool:
        """Return whether one layer is sure enough."""
        layer = layer_bias(factors, estimator=estimator)
        assert layer.ci95 is not None
        for name, ends in layer.ci95.percent.items():
            low, high = widened(layer.percent[name], *ends, 0, 100)
            if not (high - low) / 2 <= self.points:
                return False
        if self.units is None:
            return True
        units = unit_bias(factors, threshold=threshold, estimator=estimator)
        assert units.ci95 is not None
        changeable = np.zeros(len(units.labels), bool)
        for factor, (lows, highs) in units.ci95.items():
            low, high = widened(units.scores[factor], lows, highs, -1, 1)
            sure = (low > threshold) | (high < threshold) | np.isnan(units.scores[factor])
            changeable |= ~sure
        return bool(100 * changeable.mean() <= self.units)

    def stopped(self, pieces: Sequence[Slice], rounds: int, reached: bool) -> dict[str, Any]:
        """Return what results record about a run that used some rounds of its shards."""
        return {
            "after_rounds": rounds,
            "of_rounds": pieces[-1].index + 1,
            "clips": sum(len(piece.clips) for piece in pieces if piece.index < rounds),
            "of_clips": sum(len(piece.clips) for piece in pieces),
            "until": self.points,
            "until_units": self.units,
            "reached": reached,
            "widening": WIDENING if reached else 1.0,
        }


def widened(value: ArrayLike, low: ArrayLike, high: ArrayLike, least: float, most: float) -> tuple[Floats, Floats]:
    """Return the bounds of intervals, moved away from their values by `WIDENING`, from `least` to `most`."""
    value, low, high = (np.asarray(numbers, np.float64) for numbers in (value, low, high))
    return np.maximum(least, value - WIDENING * (value - low)), np.minimum(most, value + WIDENING * (high - value))


def widen(row: dict[str, Any], units: Sequence[dict[str, Any]], estimator: str) -> None:
    """Widen the intervals of a layer's row and of the rows of its units, see `widened`."""
    ranges = {"scores": SCORE_RANGE[estimator], "percent": (0, 100)}
    for kind, (least, most) in ranges.items():
        for name, (low, high) in row["ci95"][kind].items():
            row["ci95"][kind][name] = _bounds(row[kind][name], low, high, least, most)
    also = row.get("also", {})
    for further in also.values():
        low, high = further["ci95"]
        further["ci95"] = _bounds(further["score"], low, high, *SCORE_RANGE[estimator])
    for unit in units:
        for factor in (*FACTORS, *also):
            ends = (unit[f"{factor}_low"], unit[f"{factor}_high"])
            unit[f"{factor}_low"], unit[f"{factor}_high"] = _bounds(unit[factor], *ends, -1, 1)


def _bounds(
    value: float | None, low: float | None, high: float | None, least: float, most: float
) -> list[float | None]:
    """Return a widened interval of a row; `None` where undefined."""
    if value is None or low is None or high is None:
        return [low, high]
    return [float(end) for end in widened(value, low, high, least, most)]


def ends_of_rounds(pieces: Sequence[Slice]) -> list[bool]:
    """Return of each shard, in the order of rounds, whether it is the last of its round."""
    following = [*(piece.index for piece in pieces[1:]), -1]
    return [piece.index != index for piece, index in zip(pieces, following, strict=True)]


def stopped_in_words(stopped: Mapping[str, Any] | None) -> str:
    """Return a sentence about where a run stopped and why; an empty text of a run without a goal.

    Examples
    --------
    >>> goal = {"until": 1.0, "until_units": None, "clips": 140, "of_clips": 320, "after_rounds": 7, "of_rounds": 19}
    >>> stopped_in_words({**goal, "reached": True, "widening": 1.05})
    'Stopped after 140 of 320 clips (round 7 of 19): sure to ± 1 point. Intervals are 1.05 times as wide for that.'
    >>> stopped_in_words({**goal, "until_units": 5.0, "reached": False, "widening": 1.0})
    'All 320 clips were used: they are not enough to be sure to ± 1 point and of the classes of all but 5 % of units.'
    """
    if not stopped:
        return ""
    goal = f"± {stopped['until']:g} point{'' if stopped['until'] == 1 else 's'}"
    if stopped["until_units"] is not None:
        goal += f" and of the classes of all but {stopped['until_units']:g} % of units"
    if not stopped["reached"]:
        return f"All {stopped['of_clips']} clips were used: they are not enough to be sure to {goal}."
    return (
        f"Stopped after {stopped['clips']} of {stopped['of_clips']} clips (round {stopped['after_rounds']} of "
        f"{stopped['of_rounds']}): sure to {goal}. Intervals are {stopped['widening']:g} times as wide for that."
    )
