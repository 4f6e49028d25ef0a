"""By how much a number of a run differs from the baseline's, with a 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sdmetrics.analysis.results import Results
from sdmetrics.comparison.paired import Groups, layer_replicates, load_groups, unpaired_reason
from sdmetrics.errors import InputError
from sdmetrics.gate.accuracies import AccuracyRows, accuracy_rows, unpaired_rows_reason
from sdmetrics.gate.class_shares import ClassShares, class_shares
from sdmetrics.gate.limit import EVALUATION, Limit
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.intervals import MIN_GROUPS, jackknife

FEW_GROUPS = f"the videos of a run are in fewer than {MIN_GROUPS} of the 20 groups"

Error = Floats | ClassShares
"""What the interval of a number follows from: its jackknife replicates, or draws of a class."""


@dataclass(frozen=True)
class Change:
    """A number of the baseline, that of the run, and the interval of run − baseline.

    `low` and `high` are `None` where the interval is undefined, and `no_interval` says why. `unpaired` says why it is
    not paired by clip; it is empty if it is. `clips` are those of the run with fewer.
    """

    baseline: float
    run: float
    low: float | None
    high: float | None
    unpaired: str
    no_interval: str
    clips: int

    @property
    def value(self) -> float:
        """The difference."""
        return self.run - self.baseline


class Changes:
    """Computes changes from a baseline to a run; each file is read once.

    Raises
    ------
    InputError
        If their percents or classes are not on one scale: the estimators or the thresholds differ.
    """

    def __init__(self, baseline: Results, run: Results) -> None:
        for name, before, after in (
            ("estimator", baseline.estimator, run.estimator),
            ("threshold", baseline.threshold, run.threshold),
        ):
            if before != after:
                raise InputError(
                    f"the run has the {name} {after}, the baseline {before}: their numbers are not on one scale. "
                    f"Analyze one of them again with the other's {name}"
                )
        self._runs = (baseline, run)
        self._groups: tuple[Groups | None, Groups | None] | None = None
        self._rows: tuple[AccuracyRows, AccuracyRows] | None = None

    def of(self, limit: Limit) -> Change:
        """Return the change of what a limit is on.

        Raises
        ------
        InputError
            If one of the runs does not have it, or it is undefined.
        """
        return self._of_accuracy(limit) if limit.of == EVALUATION else self._of_layer(limit)

    def _of_layer(self, limit: Limit) -> Change:
        values = [_value(limit, *one) for one in zip(("baseline", "run"), self._runs, strict=True)]
        unpaired = unpaired_reason(*self._runs)
        if self._groups is None:
            baseline, run = (load_groups(r.folder, r) if r.folder else None for r in self._runs)
            self._groups = baseline, run
        known = [
            None if groups is None else _error(limit, groups, results)
            for groups, results in zip(self._groups, self._runs, strict=True)
        ]
        without = ["run" if which else "baseline" for which, error in enumerate(known) if error is None]
        if without and not unpaired:
            unpaired = f"the shards of the {' and the '.join(without)} are missing"
        widening = max((results.stopped or {}).get("widening", 1.0) for results in self._runs)
        change = values[1] - values[0]
        if unpaired:
            each = zip(values, self._runs, known, strict=True)
            low, high = apart(values, [_interval(limit, *one) for one in each])
        else:
            low, high = paired(change, *(error for error in known if error is not None))
        low, high = change - widening * (change - low), change + widening * (high - change)
        needs = limit.of == "units" and bool(without)
        why = f"the shards of the {' and the '.join(without)} are missing" if needs else FEW_GROUPS
        clips = min(results.clips["used"] for results in self._runs)
        return _change(limit, values, (low, high), unpaired, why, clips)

    def _of_accuracy(self, limit: Limit) -> Change:
        if self._rows is None:
            baseline, run = (accuracy_rows(results) for results in self._runs)
            self._rows = baseline, run
        replicates = [rows.replicates(limit.name) for rows in self._rows]
        values = [float(one[0]) for one in replicates]
        unpaired = unpaired_rows_reason(*self._rows, limit.name)
        if unpaired:
            low, high = apart(values, [alone(*one) for one in zip(values, replicates, strict=True)])
        else:
            low, high = paired(values[1] - values[0], *replicates)
        clips = min(len(rows.videos) for rows in self._rows)
        return _change(limit, values, (low, high), unpaired, FEW_GROUPS, clips)


def alone(value: float, error: Error) -> tuple[float, float]:
    """Return the interval of one number."""
    if isinstance(error, ClassShares):
        return error.interval(value)
    low, high = jackknife(error)
    return float(low), float(high)


def paired(change: float, baseline: Error, run: Error) -> tuple[float, float]:
    """Return the interval of a change between two runs of the same clips, in which the clips' own spread cancels."""
    if isinstance(run, ClassShares):
        assert isinstance(baseline, ClassShares)
        return run.interval(change, baseline)
    assert not isinstance(baseline, ClassShares)
    return alone(change, run - baseline)


def apart(values: list[float], ends: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the interval of the difference of two independent numbers, second − first, from the interval of each.

    The distances to the ends are added as squares, which keeps a skewed interval skewed (MOVER: Zou & Donner,
    "Construction of confidence limits about effect measures", 2008).

    Examples
    --------
    >>> apart([40.0, 30.0], [(37.0, 43.0), (26.0, 34.0)])
    (-15.0, -5.0)
    """
    (before, after), ((low1, high1), (low2, high2)) = values, ends
    change = after - before
    return change - math.hypot(after - low2, high1 - before), change + math.hypot(high2 - after, before - low1)


def _change(
    limit: Limit, values: list[float], ends: tuple[float, float], unpaired: str, why: str, clips: int
) -> Change:
    """Return a change whose interval may be undefined, and ends where no change can be larger."""
    defined = all(math.isfinite(end) for end in ends)
    low, high = (min(max(end, -limit.largest), limit.largest) for end in ends) if defined else (None, None)
    return Change(values[0], values[1], low, high, unpaired, "" if defined else why, clips)


def _value(limit: Limit, which: str, results: Results) -> float:
    """Return what a limit is on, as `results.json` has it."""
    try:
        layer = results.layer(limit.layer)
    except InputError as error:
        raise InputError(f"the {which}: {error}") from None
    if limit.of == "units":
        return 100 * float(layer["counts"][limit.name]) / int(layer["units"])
    value = layer["scores" if limit.of == "score" else "percent"][limit.name]
    if value is None:
        raise InputError(
            f"{limit.measure} is undefined in the {which}: it has fewer than two pairs or only dead "
            "units. Analyze more clips, or drop the limit"
        )
    return float(value)


def _error(limit: Limit, groups: Groups, results: Results) -> Error:
    """Return the error of what a limit is on."""
    if limit.of == "units":
        return class_shares(groups, limit.layer, limit.name, results.estimator, results.threshold)
    return layer_replicates(groups, limit.layer, results.estimator)[f"{limit.of}_{limit.name}"]


def _interval(limit: Limit, value: float, results: Results, error: Error | None) -> tuple[float, float]:
    """Return the interval of one run's number; NaN where it is undefined."""
    if error is not None:
        return alone(value, error)
    stored: Mapping[str, Any] = results.layer(limit.layer)["ci95"]
    ends = stored.get("scores" if limit.of == "score" else limit.of, {}).get(limit.name, (None, None))
    low, high = (math.nan if end is None else float(end) for end in ends)
    return low, high
