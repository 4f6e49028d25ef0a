"""Requirements on a run, e.g. `stage4.dynamic >= 30`, to gate a release on."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdmetrics.clips.manipulations.further import encoding, further_of
from sdmetrics.clips.manipulations.manipulate import MANIPULATIONS
from sdmetrics.errors import InputError
from sdmetrics.metrics.classes import COUNTS, FACTORS, PERCENTS

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?")
_NAMES: Mapping[str, tuple[str, ...]] = {
    "percent": PERCENTS,
    "units": (*COUNTS, *MANIPULATIONS),
    "score": (*FACTORS, *MANIPULATIONS),
}
"""What can be required, and of what."""
LONGEST_SHOWN = 200
"""The number of characters that an error repeats of a requirement."""

Row = Mapping[str, Any]


def measure_of(text: str) -> tuple[str, str, str]:
    """Part the name of a measure into its layer, what it is of (`percent`, `units` or `score`), and its name.

    Examples
    --------
    >>> measure_of("layer4.0.dynamic"), measure_of("layer4.units.joint")
    (('layer4.0', 'percent', 'dynamic'), ('layer4', 'units', 'joint'))
    """
    layer, _, name = text.rpartition(".")
    of = next((kind for kind in ("units", "score") if layer.endswith(f".{kind}")), "percent")
    return layer.removesuffix(f".{of}"), of, name


@dataclass(frozen=True)
class Requirement:
    """A limit on a number of a layer.

    Attributes
    ----------
    layer
        Its name.
    of
        `"percent"`: of Eq. 1, 0–100; `"units"`: the percent of the layer's units in a class (Eq. 3), or that encode a
        further factor, 0–100; `"score"`: the layer's score of a factor, −1 to 1.
    name
        The factor or class.
    operator, limit
        E.g. `">="` and 30.0.

    Examples
    --------
    >>> Requirement.parse("layer4.0.units.joint <= 12.5%")
    Requirement(layer='layer4.0', of='units', name='joint', operator='<=', limit=12.5)
    """

    layer: str
    of: str
    name: str
    operator: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Read `LAYER.dynamic >= 30` (Eq. 1), `LAYER.units.dynamic >= 30` (Eq. 3) or `LAYER.score.reverse <= 0.9`.

        Raises
        ------
        InputError
            If the text has another form, or the number cannot have such a value.
        """
        # Parted by hand: a pattern that finds the layer's end takes quadratic time on a long text.
        at = max(text.rfind("<"), text.rfind(">"))
        measure, sign, limit = text[:at].strip(), text[at : at + 1], text[at + 1 :]
        if limit.startswith("="):
            sign, limit = f"{sign}=", limit[1:]
        limit = limit.strip()
        layer, of, name = measure_of(measure)
        if of != "score":
            limit = limit.removesuffix("%").rstrip()
        shown = repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")
        if at >= 0 and layer and of == "percent" and name in MANIPULATIONS:
            raise InputError(
                f"requirement {shown} asks for a percent of Eq. 1, which the further factor {name!r} does not have; "
                f"require LAYER.units.{name} (percent of the units that encode it) or LAYER.score.{name} (−1 to 1)"
            )
        if at < 0 or not layer or name not in _NAMES[of] or not _NUMBER.fullmatch(limit):
            raise InputError(
                f"requirement {shown} cannot be parsed; expected 'LAYER.MEASURE OPERATOR NUMBER', where MEASURE is "
                f"{', '.join(PERCENTS)} (percent of Eq. 1), {', '.join('units.' + c for c in COUNTS)} "
                "(percent of the units, Eq. 3), or units.FACTOR or score.FACTOR of a further factor (e.g. "
                "units.reverse), and OPERATOR is >=, <=, > or <"
            )
        lowest, highest, unit = (-1, 1, "a score") if of == "score" else (0, 100, "percent")
        if not lowest <= float(limit) <= highest:
            raise InputError(
                f"requirement {shown} has the limit {float(limit):g}; allowed: {lowest} to {highest} ({unit})"
            )
        return cls(layer, of, name, sign, float(limit))

    def __str__(self) -> str:
        return f"{self._measure} {self.operator} {self.limit:g}"

    @property
    def _measure(self) -> str:
        """What is limited, as it is written."""
        return f"{self.layer}.{'' if self.of == 'percent' else self.of + '.'}{self.name}"

    @property
    def asks_for_more(self) -> bool:
        """Whether a larger value is safer."""
        return self.operator.startswith(">")

    def holds(self, value: float) -> bool:
        """Return whether `value` meets the requirement."""
        return _OPERATORS[self.operator](value, self.limit)

    def value(self, layer: Row, units: Sequence[Row], threshold: float) -> float:
        """Return the value in a layer's row, and in those of its units, that the requirement limits.

        Raises
        ------
        InputError
            If it is undefined, or the run has no such factor.
        """
        self._check_measured(layer)
        if self.of == "units":
            further = self.name in MANIPULATIONS
            count = encoding(units, self.name, threshold) if further else layer["counts"][self.name]
            return 100 * float(count) / int(layer["units"])
        value, _ = self._estimate(layer)
        if value is None:
            raise InputError(f"{self._measure} is undefined: the run has fewer than two pairs or only dead units")
        return float(value)

    def bound(self, layer: Row, units: Sequence[Row], threshold: float) -> float:
        """Return the end of the 95 % interval that makes the requirement hardest to meet.

        For a class it is the percent of units whose own intervals leave no doubt (`>=`), or any doubt (`<=`), that they
        belong to it, and likewise for units that encode a further factor.

        Raises
        ------
        InputError
            If the interval is undefined, or the run has no such factor.
        """
        self._check_measured(layer)
        if self.of == "units":
            return 100 * sum(self._counts(unit, threshold) for unit in units) / int(layer["units"])
        end = self._estimate(layer)[1][0 if self.asks_for_more else 1]
        if end is None:
            raise InputError(
                f"{self._measure} has no interval, which needs videos in at least five of the twenty groups. "
                "Analyze more videos, or check the estimate instead of the bound"
            )
        return float(end)

    def _check_measured(self, layer: Row) -> None:
        """Raise an `InputError` if the run does not have the further factor."""
        there = further_of(layer)
        if self.name in MANIPULATIONS and self.name not in there:
            raise InputError(
                f"{self._measure}: the run has no factor {self.name!r}; it has {', '.join((*FACTORS, *there))}. "
                f"Measure it with analyze --also {','.join((*there, self.name))}"
            )

    def _estimate(self, layer: Row) -> tuple[float | None, Sequence[float | None]]:
        """Return a percent or score of the layer and the ends of its interval."""
        if self.of == "score" and self.name in MANIPULATIONS:
            further = layer["also"][self.name]
            return further["score"], further["ci95"]
        key = "scores" if self.of == "score" else "percent"
        return layer[key][self.name], layer.get("ci95", {}).get(key, {}).get(self.name, (None, None))

    def _counts(self, unit: Row, threshold: float) -> bool:
        """Return whether a unit surely (for an upper limit, possibly) belongs to the class or encodes the factor."""
        if self.name == "dead":
            return unit["dynamic"] is None
        could, must = {}, {}
        for factor in (self.name,) if self.name in MANIPULATIONS else FACTORS:
            low, high = unit[f"{factor}_low"], unit[f"{factor}_high"]
            could[factor] = unit[factor] is not None and (high is None or high > threshold)
            must[factor] = low is not None and low > threshold
        encodes, spares = (must, could) if self.asks_for_more else (could, must)
        if self.name in MANIPULATIONS:
            return encodes[self.name]
        encoded = {
            "dynamic": ("dynamic",),
            "static": ("static",),
            "joint": ("dynamic", "static"),
            "residual": (),
        }[self.name]
        return all(encodes[f] if f in encoded else not spares[f] for f in could)
