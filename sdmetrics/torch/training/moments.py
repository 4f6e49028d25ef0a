"""Eq. 2 in torch: moments of pairs, computed on the device of the features without synchronisation.

Moments are one float64 tensor `(7, units)`, so that processes exchange them in a single message; its rows are `ROWS`.
Means and centred sums are those of `sdmetrics.PairMoments`; `n` and `eps` are the same for every unit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sdmetrics.torch.training.processes import all_gather

ROWS = ("n", "eps", "mean1", "mean2", "m11", "m22", "m12")


def empty_moments(units: int) -> Tensor:
    """Return the moments of zero pairs.

    Examples
    --------
    >>> empty_moments(units=3).shape
    torch.Size([7, 3])
    """
    return torch.zeros(len(ROWS), units, dtype=torch.float64)


def pooled(features: Tensor) -> Tensor:
    """Return features `(N, units, *)` averaged over all trailing axes: float64 `(N, units)`, without gradient.

    Examples
    --------
    >>> pooled(torch.tensor([[[1.0, 2.0], [3.0, 5.0]]])).tolist()
    [[1.5, 4.0]]
    """
    features = features.detach()
    return features.double() if features.ndim == 2 else features.flatten(2).mean(2, dtype=torch.float64)


def pair_moments(z1: Tensor, z2: Tensor) -> Tensor:
    """Return the moments of a batch of pairs, given `(N, units)` or `(N, units, *)` of any floating-point type.

    Examples
    --------
    >>> moments = pair_moments(torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]]))
    >>> dict(zip(ROWS, moments[:, 0].tolist()))["m12"]
    1.0
    """
    eps = max(torch.finfo(z.dtype).eps for z in (z1, z2))
    a, b = pooled(z1), pooled(z2)
    n, units = a.shape
    mean1, mean2 = (z.sum(0) / max(n, 1) for z in (a, b))
    a, b = a - mean1, b - mean2
    known = a.new_tensor([[n], [eps]]).expand(2, units)
    return torch.cat([known, torch.stack([mean1, mean2, (a * a).sum(0), (b * b).sum(0), (a * b).sum(0)])])


def merge(first: Tensor, second: Tensor) -> Tensor:
    """Return the moments of the union of two sets of pairs (Chan et al., as in `sdmetrics.PairMoments.merge`).

    Examples
    --------
    >>> z = torch.tensor([[0.0], [2.0], [1.0]])
    >>> parts = merge(pair_moments(z[:1], z[:1]), pair_moments(z[1:], z[1:]))
    >>> torch.allclose(parts, pair_moments(z, z))
    True
    """
    n = first[0] + second[0]
    share = second[0] / n.clamp(min=1)
    step1, step2 = second[2] - first[2], second[3] - first[3]
    spread = first[0] * share
    return torch.stack(
        [
            n,
            torch.maximum(first[1], second[1]),
            first[2] + share * step1,
            first[3] + share * step2,
            first[4] + second[4] + spread * step1 * step1,
            first[5] + second[5] + spread * step2 * step2,
            first[6] + second[6] + spread * step1 * step2,
        ]
    )


def merge_processes(moments: Tensor) -> Tensor:
    """Return the moments of all processes' pairs, merged in rank order so that every process gets the same bits.

    Examples
    --------
    >>> one = pair_moments(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]]))
    >>> torch.equal(merge_processes(one), one)
    True
    """
    total, *others = all_gather(moments)
    for other in others:
        total = merge(total, other)
    return total


def pearson(moments: Tensor) -> Tensor:
    """Return Pearson's r of each unit (Eq. 2), `(units,)`; NaN for dead units and below two pairs.

    As in `sdmetrics.unit_bias`, a variance not above `(4 · eps · |mean|)²` is rounding noise.

    Examples
    --------
    >>> z = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> pearson(pair_moments(z, -z)).tolist()
    [-1.0, nan]
    """
    n, eps, mean1, mean2, m11, m22, m12 = moments
    dead = (m11 <= n * (4 * eps * mean1) ** 2) | (m22 <= n * (4 * eps * mean2) ** 2)
    r: Tensor = (m12 / (m11 * m22).sqrt()).clamp(-1, 1)
    return r.masked_fill(dead | (n < 2), float("nan"))
