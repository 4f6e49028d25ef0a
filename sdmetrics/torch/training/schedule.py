"""In which steps a further loss is computed, and with which weight."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sdmetrics.metrics._arguments import between, whole


@dataclass(frozen=True)
class Schedule:
    """The weight of a loss that is added in one of `every` steps, and that grows linearly over the first `warmup`.

    Examples
    --------
    >>> schedule = Schedule(weight=2.0, every=2, warmup=4)
    >>> [schedule.at(step) for step in range(7)]
    [0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 2.0]
    """

    weight: float
    every: int
    warmup: int

    def __post_init__(self) -> None:
        between("weight", self.weight, 0, math.inf, "1 is a good start")
        whole("every", self.every, least=1)
        whole("warmup", self.warmup, least=0)

    def at(self, step: int) -> float:
        """Return the weight in a step, counted from 0."""
        if step % self.every:
            return 0.0
        return self.weight * min(1.0, step / self.warmup) if self.warmup else self.weight
