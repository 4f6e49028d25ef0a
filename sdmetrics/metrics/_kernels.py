"""The Numba code: one fused pass that adds a batch of pairs to the moments.

The moments are one float64 array `(5, units)`; its rows are named by the constants below.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.metrics.arrays import Floats

MEAN1, MEAN2, M11, M22, M12 = range(5)

TILE = 1024
"""Units per pass: enough to stream from memory, few enough for the accumulators to stay in the cache."""

STAGGER = 24
"""Offset of the accumulators, three cache lines. Rows with a power-of-two number of units compete for the same few
cache lines; without the offset the accumulators would, too."""

PARALLEL_FROM = 1 << 20
"""Minimum number of values per member for which threads are worth their start."""

UNITS_PER_THREAD = 256


def _advance(z1: NDArray[Any], z2: NDArray[Any], n: int, moments: Floats, out: Floats, start: int, stop: int) -> bool:
    """Add a batch to the moments of `n` pairs for units `start` to `stop`; return whether the result is finite.

    The result is written to `out`. All sums are about a shift near the mean (the running mean, or the first row), which
    avoids cancellation. Each pass over the accumulators adds four rows, as their memory traffic, not the input's, would
    limit the speed.
    """
    rows = z1.shape[0]
    in_fours = rows - rows % 4
    total = n + rows
    work = np.empty((7, TILE + STAGGER))
    failed = 0
    for lo in range(start, stop, TILE):
        hi = min(lo + TILE, stop)
        width = hi - lo
        a = work[0, :width]
        b = work[1, :width]
        s1 = work[2, :width]
        s2 = work[3, :width]
        s11 = work[4, :width]
        s22 = work[5, :width]
        s12 = work[6, :width]
        first1 = z1[0, lo:hi]
        first2 = z2[0, lo:hi]
        old1 = moments[MEAN1, lo:hi]
        old2 = moments[MEAN2, lo:hi]
        for j in range(width):
            a[j] = old1[j] if n else np.float64(first1[j])
            b[j] = old2[j] if n else np.float64(first2[j])
            s1[j] = s2[j] = s11[j] = s22[j] = s12[j] = 0.0

        for i in range(0, in_fours, 4):
            # One-dimensional rows: from a two-dimensional block the compiler would load single values.
            x0 = z1[i, lo:hi]
            x1 = z1[i + 1, lo:hi]
            x2 = z1[i + 2, lo:hi]
            x3 = z1[i + 3, lo:hi]
            y0 = z2[i, lo:hi]
            y1 = z2[i + 1, lo:hi]
            y2 = z2[i + 2, lo:hi]
            y3 = z2[i + 3, lo:hi]
            for j in range(width):
                p0 = np.float64(x0[j]) - a[j]
                p1 = np.float64(x1[j]) - a[j]
                p2 = np.float64(x2[j]) - a[j]
                p3 = np.float64(x3[j]) - a[j]
                q0 = np.float64(y0[j]) - b[j]
                q1 = np.float64(y1[j]) - b[j]
                q2 = np.float64(y2[j]) - b[j]
                q3 = np.float64(y3[j]) - b[j]
                s1[j] = s1[j] + p0 + p1 + p2 + p3
                s2[j] = s2[j] + q0 + q1 + q2 + q3
                s11[j] = s11[j] + p0 * p0 + p1 * p1 + p2 * p2 + p3 * p3
                s22[j] = s22[j] + q0 * q0 + q1 * q1 + q2 * q2 + q3 * q3
                s12[j] = s12[j] + p0 * q0 + p1 * q1 + p2 * q2 + p3 * q3
        for i in range(in_fours, rows):
            x = z1[i, lo:hi]
            y = z2[i, lo:hi]
            for j in range(width):
                p = np.float64(x[j]) - a[j]
                q = np.float64(y[j]) - b[j]
                s1[j] += p
                s2[j] += q
                s11[j] += p * p
                s22[j] += q * q
                s12[j] += p * q

        old11 = moments[M11, lo:hi]
        old22 = moments[M22, lo:hi]
        old12 = moments[M12, lo:hi]
        mean1 = out[MEAN1, lo:hi]
        mean2 = out[MEAN2, lo:hi]
        m11 = out[M11, lo:hi]
        m22 = out[M22, lo:hi]
        m12 = out[M12, lo:hi]
        for j in range(width):
            step1 = s1[j] / total
            step2 = s2[j] / total
            mean1[j] = a[j] + step1
            mean2[j] = b[j] + step2
            m11[j] = old11[j] + (s11[j] - s1[j] * step1)
            m22[j] = old22[j] + (s22[j] - s2[j] * step2)
            m12[j] = old12[j] + (s12[j] - s1[j] * step2)
        for j in range(width):
            failed += not (np.isfinite(m11[j]) and np.isfinite(m22[j]))
    return failed == 0


@cache
def _compiled() -> Callable[..., bool]:
    """Return `_advance` compiled per input dtype at its first call, cached on disk, without holding the GIL.

    `contract` allows only fused multiply-adds: no NaN check is optimised away, and no sum is reordered.
    """
    from numba import njit  # slow to import

    options: dict[str, Any] = {"fastmath": {"contract"}, "nogil": True, "error_model": "numpy"}
    try:
        compiled: Callable[..., bool] = njit(cache=True, **options)(_advance)
    except RuntimeError:  # no writable cache folder, e.g. in a read-only installation
        compiled = njit(cache=False, **options)(_advance)
    return compiled


def advance(z1: NDArray[Any], z2: NDArray[Any], n: int, moments: Floats) -> Floats | None:
    """Return the moments of `n` pairs with a batch added, or None if they are not finite.

    Parameters
    ----------
    z1, z2
        Both float32 or both float64, C-contiguous, with at least one row, `(pairs, units)`.
    n, moments
        The number of previous pairs, and their moments `(5, units)`.

    Large batches are split by units among plain threads, so that the bits do not depend on the number of threads.
    (Numba's default threading layer aborts when two threads of a program enter it.)
    """
    run, units = _compiled(), z1.shape[1]
    out = np.empty((5, units))
    parts = _threads(units) if z1.size >= PARALLEL_FROM else 1
    if parts == 1:
        return out if run(z1, z2, n, moments, out, 0, units) else None
    edges = [units * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(parts - 1) as pool:
        others = [pool.submit(run, z1, z2, n, moments, out, start, stop) for start, stop in pairwise(edges[1:])]
        finite = [run(z1, z2, n, moments, out, 0, edges[1]), *(other.result() for other in others)]
    return out if all(finite) else None


def _threads(units: int) -> int:
    """Return the number of threads for a large batch, at most the environment's NUMBA_NUM_THREADS."""
    from numba import config

    available: int = vars(config)["NUMBA_NUM_THREADS"]
    return max(1, min(available, units // UNITS_PER_THREAD))
