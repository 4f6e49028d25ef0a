"""The rank of a class among a model's scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError

TOPS = {"top1": 1, "top5": 5}


def top_k(
    outputs: NDArray[Any], labels: NDArray[np.int64], k: int, ids: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Return whether the label of each clip is among the `k` classes with the highest outputs, bool `(N,)`.

    Ties are broken by index, lower first: exactly `k` classes are among the highest, and a model whose outputs are all
    equal is right only for the first `k` classes.

    Parameters
    ----------
    outputs
        `(N, classes)`; larger is more likely.
    labels
        `(N,)`, indices of the true classes.
    k
        At least 1. If `k` is the number of classes, every clip is right.
    ids
        Names of the clips, for errors. Default: their numbers.

    Raises
    ------
    InputError
        If an output is NaN, or a label is not one of the classes.

    Examples
    --------
    >>> top_k(np.array([[0.1, 0.7, 0.2], [0.4, 0.4, 0.2]]), np.array([2, 1]), k=1)
    array([False, False])
    >>> top_k(np.array([[0.1, 0.7, 0.2], [0.4, 0.4, 0.2]]), np.array([2, 1]), k=2)
    array([ True,  True])
    """
    check_labels(labels, outputs)
    check_defined(outputs, ids)
    rows = np.arange(len(labels))
    own = outputs[rows, labels][:, None]
    before = np.arange(outputs.shape[1]) < labels[:, None]
    ahead = (outputs > own) | ((outputs == own) & before)
    return np.asarray(ahead.sum(axis=1) < k)


def check_labels(labels: NDArray[np.int64], outputs: NDArray[Any]) -> None:
    """Raise an `InputError` for a label without an output of the model."""
    if len(labels) and not 0 <= labels.min() <= labels.max() < outputs.shape[1]:
        wrong = labels[(labels < 0) | (labels >= outputs.shape[1])][0]
        raise InputError(
            f"a label is class {wrong}, and the model's output scores {outputs.shape[1]} classes, 0 to "
            f"{outputs.shape[1] - 1}; use the classes that this model was trained on"
        )


def check_defined(outputs: NDArray[Any], ids: Sequence[str] | None = None) -> None:
    """Raise an `InputError` for an output that is NaN; `ids` are the names of the clips."""
    undefined = np.argwhere(np.isnan(outputs))
    if len(undefined):
        row, index = undefined[0]
        name = f"clip {ids[row]!r}" if ids else f"clip number {row}"
        raise InputError(
            f"{name}: the output of class {index} is NaN, which has no rank. Check the model's weights and its input's "
            "mean and std (half precision may overflow)"
        )
