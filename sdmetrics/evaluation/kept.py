"""What a model keeps under manipulation: of its accuracy, of its predictions, and of its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import note
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.bias import layer_bias
from sdmetrics.metrics.groups import GROUPS
from sdmetrics.metrics.intervals import with_interval
from sdmetrics.metrics.moments import PairMoments

Groups = NDArray[np.int64]


def ratio(untouched: Floats, manipulated: Floats) -> dict[str, Any]:
    """Return how much is kept: the ratio of two means and its interval, from the replicates of both.

    Examples
    --------
    >>> ratio(np.array([0.8, 0.5]), np.array([0.4, 0.5]))
    {'value': 0.5, 'ci95': [None, None]}
    """
    undefined = np.full_like(manipulated, np.nan)
    return with_interval(np.divide(manipulated, untouched, out=undefined, where=untouched > 0))


def correlations(
    outputs: NDArray[np.float32], names: Sequence[str], groups: Groups, eps: float = 0.0
) -> dict[str, dict[str, Any]]:
    """Return for each manipulation the mean over outputs of Pearson's r with the untouched clips, over clips (Eq. 2).

    Parameters
    ----------
    outputs
        `(clips, 1 + names, outputs)`: of the clips as they are, then under each manipulation.
    names
        The manipulations.
    groups
        `(clips,)`: the group of each clip.
    eps
        Machine epsilon of the precision in which the outputs were computed, see `PairMoments.update`.

    Returns
    -------
    dict
        `"value"`, -1 to 1, and its interval `"ci95"` by manipulation; `None` where undefined: no output varies, over
        untouched and over manipulated clips. Outputs that do not vary, or are not finite for a clip, do not count.

    Examples
    --------
    >>> scores = np.array([[[1], [2]], [[2], [4]], [[3], [6]]], np.float32)
    >>> correlations(scores, ["reverse"], np.array([1, 2, 3]))["reverse"]["value"]
    1.0
    """
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(outputs).all(axis=(0, 1)))
    if not finite.all():
        note(f"{np.sum(~finite)} of {len(finite)} outputs are not finite for a clip and do not count in correlations")
    if not finite.any():
        return {name: {"value": None, "ci95": [None, None]} for name in names}
    outputs = outputs[:, :, finite]
    found = {}
    for number, name in enumerate(names, start=1):
        by_group = [
            PairMoments.from_arrays(outputs[groups == group, 0], outputs[groups == group, number], eps)
            for group in range(GROUPS)
        ]
        bias = layer_bias({"kept": by_group})
        assert bias.ci95 is not None
        found[name] = {
            "value": _known(bias.scores["kept"]),
            "ci95": [_known(end) for end in bias.ci95.scores["kept"]],
        }
    return found


def _known(value: float) -> float | None:
    """Return a number, or `None` if it is undefined."""
    return None if np.isnan(value) else float(value)
