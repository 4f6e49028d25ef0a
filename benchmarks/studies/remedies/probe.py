"""A linear probe: how well a label can be read from features by a linear map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RIDGE = 0.01
"""Weight of the squared coefficients, for standardised features and the mean squared error."""

Values = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


def linear_probe(features: Values, labels: Labels, further: Values, their_labels: Labels) -> float:
    """Return the top-1 on further clips of a ridge regression, from features to one column for each label.

    Features, `(N, units)`, are standardised by the mean and the deviation of those that the probe is fitted to. Units
    that do not vary there are left out.

    Examples
    --------
    >>> features = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
    >>> linear_probe(features, np.array([0, 0, 1]), np.array([[-1.0, 9.0], [3.0, 9.0]]), np.array([0, 1]))
    1.0
    """
    varying = features.std(0) > 0
    mean, deviation = features[:, varying].mean(0), features[:, varying].std(0)
    x, asked = ((part[:, varying] - mean) / deviation for part in (features, further))
    classes = np.eye(max(labels.max(), their_labels.max()) + 1)[labels]
    share = classes.mean(0)
    gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
    answers = (asked @ np.linalg.solve(gram, x.T @ (classes - share)) + share).argmax(1)
    return float((answers == their_labels).mean())
