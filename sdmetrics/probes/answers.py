"""A digest of what a live module answers, which changes with code that the weights do not show."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

PROJECTIONS = 2
"""Numbers per clip and layer. Few of them: each may be rounded the other way on another machine."""


def answers_digest(units: Mapping[str, NDArray[np.float64]]) -> str:
    """Return a hash of the pooled units `(clips, units)` of every layer for the example clips.

    Each clip's units are projected on two fixed directions and rounded to 1e-3 of the layer's range, so that the last
    bits of another machine or number of threads do not change the digest, while another activation function does.

    Examples
    --------
    >>> units = np.array([[-1.0, 0.5], [0.2, 2.0]])
    >>> answers_digest({"act": units}) == answers_digest({"act": units + 1e-7})
    True
    >>> answers_digest({"act": np.maximum(units, 0)}) == answers_digest({"act": np.abs(units)})
    False
    """
    digest = hashlib.sha256()
    for layer, values in units.items():
        low, high = float(values.min()), float(values.max())
        count = values.shape[1]
        directions = np.cos(np.outer(np.arange(count), 1 + np.arange(PROJECTIONS))) / np.sqrt(count)
        projected = (values - low) / ((high - low) or 1.0) @ directions
        # Adding zero turns -0 into 0.
        rounded = np.round(projected, 3) + 0.0
        digest.update(f"{layer} {low:.2e} {high:.2e} {rounded.tolist()};".encode())
    return digest.hexdigest()
