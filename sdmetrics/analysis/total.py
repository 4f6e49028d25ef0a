"""Total: the sum of a run's shards, and the results that are computed from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sdmetrics.analysis.circumstance import Circumstance, ran_on
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.shards import LayerMoments, Shard
from sdmetrics.analysis.summary import Row, summarize
from sdmetrics.analysis.until import widen
from sdmetrics.metrics.groups import GROUPS


@dataclass
class Total:
    """The sum of shards: the moments of every group, and what became of the clips.

    Shards of one group are added in the order of their indices: the bits of a sum depend on it.

    Examples
    --------
    >>> total = Total()
    >>> total.add(3, Shard(ids=["a"], skipped=[{"id": "b", "reason": "damaged"}]))
    >>> total.used, total.skipped
    (1, [{'id': 'b', 'reason': 'damaged'}])
    """

    groups: list[LayerMoments] = field(default_factory=lambda: [{} for _ in range(GROUPS)])
    used: int = 0
    looped: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    passing: list[dict[str, str]] = field(default_factory=list)
    circumstances: list[Circumstance] = field(default_factory=list)

    def add(self, group: int, shard: Shard) -> None:
        """Add a shard of a group."""
        for layer, factors in shard.moments.items():
            mine = self.groups[group].setdefault(layer, {})
            for factor, moments in factors.items():
                mine[factor] = mine[factor].merge(moments) if factor in mine else moments
        self.used += shard.used
        self.looped += shard.looped
        self.skipped += shard.skipped
        self.passing += shard.passing
        self.circumstances.append(shard.ran_on)

    def rows(self, layer: str, estimator: str, threshold: float) -> tuple[Row, list[Row]]:
        """Return the row of a layer and the rows of its units."""
        return summarize(layer, [group[layer] for group in self.groups if group], estimator, threshold)

    def results(
        self,
        model: dict[str, Any],
        layers: Sequence[str],
        settings: dict[str, Any],
        estimator: str,
        threshold: float,
        stopped: dict[str, Any] | None = None,
    ) -> Results:
        """Return the results of all layers; `settings` is the document of the run's identity, `stopped` of `Until`."""
        results = Results(
            model=model,
            seed=settings["seed"],
            estimator=estimator,
            threshold=threshold,
            clips={"used": self.used, "looped": self.looped, "skipped": self.skipped},
            stopped=stopped,
            settings=settings,
            ran_on=ran_on(self.circumstances),
        )
        for layer in layers:
            row, units = self.rows(layer, estimator, threshold)
            if stopped and stopped["reached"]:
                widen(row, units, estimator)
            results.layers.append(row)
            results.units.extend(units)
        return results
