"""Limits on a change, e.g. `layer4.dynamic 5`: by how much a run may be worse than its baseline."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sdmetrics._text import printable
from sdmetrics.analysis.requirements import LONGEST_SHOWN, measure_of
from sdmetrics.errors import InputError
from sdmetrics.metrics.classes import COUNTS, FACTORS, PERCENTS

EVALUATION = "evaluation"
ACCURACIES = ("top1", "top5", "shuffle")
"""What can be limited of an evaluation: two accuracies, and by how much shuffled frames lower top-1."""

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?")
_NAMES = {"percent": PERCENTS, "units": COUNTS, "score": FACTORS, EVALUATION: ACCURACIES}


@dataclass(frozen=True)
class Limit:
    """The largest change for the worse that is allowed.

    Attributes
    ----------
    layer
        The name of the layer; `"evaluation"` for an accuracy.
    of, name
        `"percent"` (Eq. 1), `"units"` (percent of the layer's units, Eq. 3), `"score"` or `"evaluation"`, and the
        factor, class or accuracy.
    most
        How much is allowed: points, and for a score its difference.
    drop
        Whether a lower value is worse, not a higher one.

    Examples
    --------
    >>> Limit.parse("layer4.units.dynamic 5", drop=True)
    Limit(layer='layer4', of='units', name='dynamic', most=5.0, drop=True)
    """

    layer: str
    of: str
    name: str
    most: float
    drop: bool

    @classmethod
    def parse(cls, text: str, drop: bool) -> Limit:
        """Read `LAYER.dynamic 5`, `LAYER.units.dynamic 5`, `LAYER.score.dynamic 0.1` or `evaluation.top1 3`.

        Raises
        ------
        InputError
            If the text has another form, or no change can be as large.
        """
        words = text.split() if isinstance(text, str) else []
        measure, most = (" ".join(words[:-1]), words[-1].removesuffix("%")) if len(words) > 1 else ("", "")
        layer, of, name = measure_of(measure)
        if (layer, of) == (EVALUATION, "percent") and name not in PERCENTS:
            of = EVALUATION
        shown = printable(repr(text if len(str(text)) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"))
        if not layer or name not in _NAMES[of] or not _NUMBER.fullmatch(most):
            raise InputError(
                f"limit {shown} cannot be parsed; expected 'LAYER.MEASURE NUMBER', where MEASURE is "
                f"{', '.join(PERCENTS)} (percent of Eq. 1), {', '.join('units.' + c for c in COUNTS)} (percent of the "
                f"units, Eq. 3) or {', '.join('score.' + f for f in FACTORS)}; or "
                f"{', '.join(f'{EVALUATION}.{a}' for a in ACCURACIES)}; and NUMBER is at least 0"
            )
        limit = cls(layer, of, name, float(most), drop)
        if limit.most > limit.largest:
            unit = "of a score" if of == "score" else "points"
            raise InputError(f"limit {shown} allows {limit.most:g}; allowed: 0 to {limit.largest} ({unit})")
        return limit

    @property
    def measure(self) -> str:
        """What is limited, as it is written."""
        return f"{self.layer}.{f'{self.of}.' if self.of in ('units', 'score') else ''}{self.name}"

    @property
    def largest(self) -> int:
        """The largest change that is possible."""
        return 2 if self.of == "score" else 100

    @property
    def digits(self) -> int:
        """How many digits after the point tell values of this kind apart."""
        return 3 if self.of == "score" else 1

    def __str__(self) -> str:
        return f"{self.measure} at most {self.most:g} {'lower' if self.drop else 'higher'}"
