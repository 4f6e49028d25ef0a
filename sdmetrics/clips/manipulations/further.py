"""Further factors: pairs of a clip's first view and its manipulated twin, beside the two pairs of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sdmetrics.clips.manipulations.manipulate import MANIPULATIONS, check_manipulations, identity_of_manipulations
from sdmetrics.clips.views import PAIRS, VIEWS_PER_CLIP
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.probes.inputs import ModelInput


def chosen(also: Sequence[str], inputs: Sequence[ModelInput]) -> tuple[str, ...]:
    """Return the names of further factors in their fixed order.

    Raises
    ------
    InputError
        If a name is not known or is there twice, or what the model reads cannot be manipulated so.

    Examples
    --------
    >>> chosen(["reverse", "shuffle"], [ModelInput("video")])
    ('shuffle', 'reverse')
    """
    names = check_manipulations(also, inputs)
    return tuple(name for name in MANIPULATIONS if name in names)


def settings_of(also: Sequence[str]) -> dict[str, Any]:
    """Return what further factors add to the settings of a run: nothing if there are none."""
    return {"also": identity_of_manipulations(also)} if also else {}


def further_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the further factors of a run with these settings."""
    return tuple(name for name in MANIPULATIONS if name in settings.get("also", {}))


def factors_with(also: Sequence[str]) -> tuple[str, ...]:
    """Return all factors of a run: those of the paper, then the further ones."""
    return (*FACTORS, *also)


def pairs_with(also: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return for each factor the two views, by index, that are its pair.

    Examples
    --------
    >>> pairs_with(["reverse"])
    {'dynamic': (0, 1), 'static': (0, 2), 'reverse': (0, 3)}
    """
    return {**PAIRS, **{name: (0, VIEWS_PER_CLIP + number) for number, name in enumerate(also)}}


def columns_of(also: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that further factors add to `units.csv`."""
    return tuple(f"{name}{end}" for name in also for end in ("", "_low", "_high"))


def encoding(units: Sequence[Mapping[str, Any]], factor: str, threshold: float) -> int:
    """Return how many units encode a factor: have a score above the threshold, as in Eq. 3.

    Examples
    --------
    >>> encoding([{"reverse": 0.5}, {"reverse": 0.7}, {"reverse": None}], "reverse", threshold=0.5)
    1
    """
    return sum(unit[factor] is not None and unit[factor] > threshold for unit in units)
