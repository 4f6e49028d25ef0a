"""Counterfactual inference: a prediction less what the same frames say in a random order. It needs no training.

For a classifier of videos v: log p(v) − α · log p(shuffled v), the latter as the mean over several shuffles. What the
frames say one by one is in both terms, and what their order says in the first only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError
from sdmetrics.evaluation.kept import Groups
from sdmetrics.evaluation.ranks import TOPS, top_k
from sdmetrics.metrics._arguments import between, whole
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.intervals import jackknife, mean_replicates, with_interval

CURVE = tuple(step / 10 for step in range(21))
"""The weights α for which the accuracy is given beside the chosen one."""

SHUFFLE = "shuffle"
LEAST = float(np.log(np.finfo(np.float32).tiny))
"""What log p is at least: a probability of float32 that is 0 may be any number below 1e-38."""


@dataclass(frozen=True)
class Counterfactual:
    """How predictions on shuffled frames are subtracted.

    Parameters
    ----------
    alpha
        Weight of the shuffled clips, 0 to 10. 0 changes nothing.
    shuffles
        Number of random orders of each clip, over which the mean is taken.
    logits
        Whether the model's scores are logits or probabilities. Default: probabilities where all are at least 0 and
        their sum for each clip is 1, logits where some are outside 0 to 1.

    Raises
    ------
    InputError
        If a value is not allowed.

    Examples
    --------
    >>> Counterfactual(0.5).views
    ('shuffle', 'shuffle 2', 'shuffle 3')
    """

    alpha: float
    shuffles: int = 3
    logits: bool | None = None

    def __post_init__(self) -> None:
        between("alpha", self.alpha, 0, 10, "Begin with 0.5")
        whole("shuffles", self.shuffles, 1)

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the shuffled views."""
        return (SHUFFLE, *(f"{SHUFFLE} {number}" for number in range(2, self.shuffles + 1)))

    def read_as(self, scores: NDArray[Any]) -> str:
        """Return what scores `(N, classes)` are: `"logits"` or `"probabilities"`.

        Raises
        ------
        InputError
            If they may be either.

        Examples
        --------
        >>> Counterfactual(0.5).read_as(np.array([[0.25, 0.75]])), Counterfactual(0.5).read_as(np.array([[-1.0, 2.0]]))
        ('probabilities', 'logits')
        """
        if scores.shape[1] < 2:
            raise InputError("the model scores one class, so there is nothing to subtract from; drop counterfactual")
        if self.logits is not None:
            return "logits" if self.logits else "probabilities"
        if ((scores < 0) | (scores > 1)).any():
            return "logits"
        totals = scores.astype(np.float64).sum(axis=1)
        if np.abs(totals - 1).max(initial=0) > 0.01:
            raise InputError(
                f"the model's scores are between 0 and 1, and those of a clip add up to "
                f"{totals[np.abs(totals - 1).argmax()]:.4g}, so they may be logits or probabilities of single classes; "
                "specify which: logits=True or logits=False, on the command line --logits or --probabilities"
            )
        return "probabilities"


def shuffle_number(view: str) -> int | None:
    """Return which shuffle a view's name stands for, the first being 0, or `None` for other views.

    Examples
    --------
    >>> shuffle_number("shuffle"), shuffle_number("shuffle 3"), shuffle_number("reverse")
    (0, 2, None)
    """
    name, _, number = view.partition(" ")
    return None if name != SHUFFLE else int(number or 1) - 1


def log_probabilities(scores: NDArray[Any], kind: str) -> Floats:
    """Return log p of scores `(…, classes)` that are `"logits"` or `"probabilities"`, at least `LEAST`.

    Examples
    --------
    >>> log_probabilities(np.array([[0.0, 0.0]]), "logits").tolist() == [[-math.log(2)] * 2]
    True
    """
    values = scores.astype(np.float64)
    if kind == "probabilities":
        return np.log(np.maximum(values, math.exp(LEAST)))
    values = values - values.max(axis=-1, keepdims=True)
    logs: Floats = values - np.log(np.exp(values).sum(axis=-1, keepdims=True))
    return np.maximum(logs, LEAST)


def counterfactual_of(
    how: Counterfactual,
    scores: NDArray[Any],
    kind: str,
    labels: NDArray[np.int64],
    ids: Sequence[str],
    groups: Groups,
) -> dict[str, Any]:
    """Return the accuracy with shuffled predictions subtracted.

    Parameters
    ----------
    how
        The weight that was chosen.
    scores
        `(clips, 1 + shuffles, classes)`: of the clips in order, then of each shuffle.
    kind
        What they are, see `Counterfactual.read_as`.
    labels, ids, groups
        The index of the class, the name, and the group of each clip.

    Returns
    -------
    dict
        `"alpha"`, `"shuffles"`; for `"top1"` and `"top5"` a `"value"` and its `"ci95"`, shares of 1; the same of their
        `"gain"` over clips in order, -1 to 1, with paired intervals; and as `"curve"` the accuracy at other weights.

    Examples
    --------
    >>> scores = np.log([[[0.6, 0.4], [0.8, 0.2]], [[0.3, 0.7], [0.3, 0.7]]])
    >>> found = counterfactual_of(Counterfactual(1.0, 1), scores, "logits", np.array([1, 1]), "ab", np.array([1, 2]))
    >>> found["top1"]["value"], found["gain"]["top1"]["value"]
    (0.5, 0.0)
    """
    logs = log_probabilities(scores, kind)
    shuffled = logs[:, 1:].mean(axis=1)

    def accuracy(alpha: float) -> Mapping[str, Floats]:
        difference = logs[:, 0] - alpha * shuffled
        return {top: mean_replicates(top_k(difference, labels, k, ids), groups) for top, k in TOPS.items()}

    plain, chosen = accuracy(0.0), accuracy(how.alpha)
    weights = sorted({*CURVE, how.alpha})
    return {
        "alpha": how.alpha,
        "shuffles": how.shuffles,
        **_with_intervals(chosen),
        "gain": {top: _difference(plain[top], chosen[top]) for top in TOPS},
        "curve": [{"alpha": alpha, **_with_intervals(accuracy(alpha))} for alpha in weights],
    }


def _with_intervals(means: Mapping[str, Floats]) -> dict[str, dict[str, Any]]:
    """Return shares and their intervals."""
    return {top: with_interval(replicates, most=1) for top, replicates in means.items()}


def _difference(first: Floats, second: Floats) -> dict[str, Any]:
    """Return the difference of two shares and its interval, from the replicates of both."""
    replicates = second - first
    ends = np.clip(jackknife(replicates), -1, 1)
    value, *interval = (None if math.isnan(number) else float(number) for number in (replicates[0], *ends))
    return {"value": value, "ci95": interval}
