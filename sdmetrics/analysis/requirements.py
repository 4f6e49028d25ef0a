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
_PATTERN = re.compile(
    rf"\s*(?P<layer>.+?)\.(?P<units>units\.)?(?P<name>{'|'.join(dict.fromkeys(PERCENTS + COUNTS))})"
    r"\s*(?P<operator>>=|<=|>|<)\s*(?P<limit>[-+]?\d+(?:\.\d*)?)\s*%?\s*"
)

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
            If the text is neither.
        """
        match = _PATTERN.fullmatch(text)
        if match is None or match["name"] not in (COUNTS if match["units"] else PERCENTS):
            raise InputError(
                f"requirement {text!r} cannot be parsed; expected 'LAYER.MEASURE OPERATOR NUMBER', where MEASURE is "
                f"{', '.join(PERCENTS)} (percent of Eq. 1) or {', '.join('units.' + c for c in COUNTS)} "
                "(percent of the units, Eq. 3) and OPERATOR is >=, <=, > or <"
            )
        return cls(match["layer"], bool(match["units"]), match["name"], match["operator"], float(match["limit"]))

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
