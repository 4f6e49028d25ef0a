"""Requirements on a run, e.g. `stage4.dynamic >= 30`, to gate a release on."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdmetrics.errors import InputError
from sdmetrics.metrics.classes import COUNTS, PERCENTS

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?")
LONGEST_SHOWN = 200
"""The number of characters that an error repeats of a requirement."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Requirement:
    """A limit on a layer's percent (Eq. 1) or on the percent of its units in one class (Eq. 3), both 0–100.

    Examples
    --------
    >>> Requirement.parse("layer4.0.units.joint <= 12.5%")
    Requirement(layer='layer4.0', units=True, name='joint', operator='<=', limit=12.5)
    """

    layer: str
    units: bool
    name: str
    operator: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Read `LAYER.dynamic >= 30` (Eq. 1) or `LAYER.units.dynamic >= 30` (Eq. 3).

        Raises
        ------
        InputError
            If the text is neither, or the limit is not a percent from 0 to 100.
        """
        # Parted by hand: a pattern that finds the layer's end takes quadratic time on a long text.
        at = max(text.rfind("<"), text.rfind(">"))
        measure, sign, limit = text[:at].strip(), text[at : at + 1], text[at + 1 :]
        if limit.startswith("="):
            sign, limit = f"{sign}=", limit[1:]
        limit = limit.strip().removesuffix("%").rstrip()
        layer, _, name = measure.rpartition(".")
        units = layer.endswith(".units")
        layer = layer.removesuffix(".units")
        shown = repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")
        if at < 0 or not layer or name not in (COUNTS if units else PERCENTS) or not _NUMBER.fullmatch(limit):
            raise InputError(
                f"requirement {shown} cannot be parsed; expected 'LAYER.MEASURE OPERATOR NUMBER', where MEASURE is "
                f"{', '.join(PERCENTS)} (percent of Eq. 1) or {', '.join('units.' + c for c in COUNTS)} "
                "(percent of the units, Eq. 3) and OPERATOR is >=, <=, > or <"
            )
        if not 0 <= float(limit) <= 100:
            raise InputError(f"requirement {shown} has the limit {float(limit):g}; allowed: 0 to 100 (percent)")
        return cls(layer, units, name, sign, float(limit))

    def __str__(self) -> str:
        return f"{self.layer}.{'units.' * self.units}{self.name} {self.operator} {self.limit:g}"

    @property
    def asks_for_more(self) -> bool:
        """Whether a larger value is safer."""
        return self.operator.startswith(">")

    def holds(self, value: float) -> bool:
        """Return whether `value` meets the requirement."""
        return _OPERATORS[self.operator](value, self.limit)

    def value(self, layer: Row) -> float:
        """Return the value in a layer's row that the requirement limits.

        Raises
        ------
        InputError
            If it is undefined.
        """
        if self.units:
            return 100 * float(layer["counts"][self.name]) / int(layer["units"])
        value = layer["percent"][self.name]
        if value is None:
            raise InputError(
                f"{self.layer}.{self.name} is undefined: the run has fewer than two pairs or only dead units"
            )
        return float(value)

    def bound(self, layer: Row, units: Sequence[Row], threshold: float) -> float:
        """Return the end of the 95 % interval that makes the requirement hardest to meet.

        For a class it is the percent of units whose own intervals leave no doubt (`>=`), or any doubt (`<=`), that they
        belong to it.

        Raises
        ------
        InputError
            If the interval is undefined.
        """
        if self.units:
            return 100 * sum(self._counts(unit, threshold) for unit in units) / int(layer["units"])
        interval = layer["ci95"]["percent"].get(self.name, [None, None])
        end = interval[0 if self.asks_for_more else 1]
        if end is None:
            raise InputError(
                f"{self.layer}.{self.name} has no interval, which needs videos in at least five of the twenty groups. "
                "Analyze more videos, or check the estimate instead of the bound"
            )
        return float(end)

    def _counts(self, unit: Row, threshold: float) -> bool:
        """Return whether a unit surely (or, for an upper limit, possibly) belongs to the class."""
        if self.name == "dead":
            return unit["dynamic"] is None
        could, must = {}, {}
        for factor in ("dynamic", "static"):
            low, high = unit[f"{factor}_low"], unit[f"{factor}_high"]
            could[factor] = unit[factor] is not None and (high is None or high > threshold)
            must[factor] = low is not None and low > threshold
        encodes, spares = (must, could) if self.asks_for_more else (could, must)
        encoded = {
            "dynamic": ("dynamic",),
            "static": ("static",),
            "joint": ("dynamic", "static"),
            "residual": (),
        }[self.name]
        return all(encodes[f] if f in encoded else not spares[f] for f in could)
