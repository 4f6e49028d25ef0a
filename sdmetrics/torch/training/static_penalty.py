"""StaticPenalty: the static score that the metric reports (Eq. 2), as a loss."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from sdmetrics.errors import InputError
from sdmetrics.metrics._arguments import between, one_of
from sdmetrics.torch.training.processes import sum_over_processes
from sdmetrics.torch.training.schedule import Schedule

Form = Literal["square", "positive", "hinge"]


class StaticPenalty:
    """A loss that falls as channels stop encoding what frames show: weight · mean over channels of f(r).

    r is Pearson's correlation (Eq. 2), over the clips of a batch, of a channel's values for the clips and for the same
    clips with their frames shuffled. `sdmetrics.torch.attach` makes the second forward. By hand it is

    >>> penalty, generator = StaticPenalty(weight=1.0), torch.Generator().manual_seed(0)
    >>> features, of_shuffled_frames = torch.randn(2, 8, 4, generator=generator)
    >>> round(penalty(features, of_shuffled_frames).item(), 3)
    0.007

    Parameters
    ----------
    weight
        λ.
    form
        f: `"square"`, r²; `"positive"`, r where it is above 0, else 0; `"hinge"`, how far r is above `threshold`.
        r itself is not offered: its minimum is a channel that is negatively correlated with itself.
    threshold
        Of the hinge: the score above which the metric calls a unit static.
    every
        `attach` makes the second forward in one of so many training steps.
    warmup
        Number of training steps over which `attach` lets the weight grow from 0.

    Notes
    -----
    The penalty lowers what the metric measures, so more dynamic units do not prove that the model sees motion: judge by
    what was not trained on, e.g. accuracy on clips without the shortcut. Where labels need appearance it takes away
    what they need.

    Moments are float32, also under autocast (float64 for float64 features). A dead channel, whose variance is rounding
    noise, counts as r = 0 and has no gradient; so do all channels below two clips. With `torch.distributed` the moments
    are those of all processes' clips; with `DistributedDataParallel` the gradient is that of the joint batch. r of n
    clips is off by about 1 / √n, and with two clips it is always 1 or -1: gradient accumulation does not help.

    Raises
    ------
    InputError
        If an argument is not allowed, or features do not match.
    """

    def __init__(
        self,
        weight: float = 1.0,
        *,
        form: Form = "square",
        threshold: float = 0.5,
        every: int = 1,
        warmup: int = 0,
    ) -> None:
        one_of("form", form, get_args(Form))
        between("threshold", threshold, 0, 1, "The metric's is 0.5")
        self.schedule = Schedule(weight, every, warmup)
        self.form, self.threshold = form, threshold

    def __call__(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Return the penalty of a batch, a scalar.

        Parameters
        ----------
        z1, z2
            Features of a batch and of its frame-shuffled copy, row by row, `(N, units)` or, pooled here over the
            trailing axes, `(N, units, *)`; of any floating-point type.
        """
        return self.schedule.weight * self.unweighted(z1, z2)

    def unweighted(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Return the mean of f(r) over channels."""
        r = correlations(z1, z2)
        if self.form == "square":
            return r.square().mean()
        return (r if self.form == "positive" else r - self.threshold).relu().mean()


def correlations(z1: Tensor, z2: Tensor) -> Tensor:
    """Return Pearson's r of each channel, `(units,)`, with its gradient; 0 without gradient for dead channels.

    Examples
    --------
    >>> z = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> correlations(z, -z).tolist()
    [-1.0, 0.0]
    """
    _check(z1, z2)
    eps = max(torch.finfo(z.dtype).eps for z in (z1, z2))
    with torch.autocast(z1.device.type, enabled=False):
        a, b = (z if z.ndim == 2 else z.flatten(2).mean(2) for z in map(_precise, (z1, z2)))
        known = torch.stack([torch.full_like(a[:1].detach().sum(0), len(a)), a.sum(0), b.sum(0)])
        n, sum1, sum2 = sum_over_processes(known)
        n = n.clamp(min=1)
        mean1, mean2 = sum1 / n, sum2 / n
        a, b = a - mean1, b - mean2
        m11, m22, m12 = sum_over_processes(torch.stack([(a * a).sum(0), (b * b).sum(0), (a * b).sum(0)]))
        dead = (m11 <= n * (4 * eps * mean1) ** 2) | (m22 <= n * (4 * eps * mean2) ** 2) | (n < 2)
        spread1, spread2 = (m.masked_fill(dead, 1).sqrt() for m in (m11, m22))
        r: Tensor = (m12 / spread1 / spread2).masked_fill(dead, 0)
    return r


def _precise(z: Tensor) -> Tensor:
    """Return features in the type in which moments are computed."""
    return z if z.dtype == torch.float64 else z.float()


def _check(z1: Tensor, z2: Tensor) -> None:
    """Raise an `InputError` unless both are features of the same clips and channels."""
    for name, z in (("z1", z1), ("z2", z2)):
        if not isinstance(z, Tensor) or not z.is_floating_point():
            what = f"a tensor of {z.dtype}" if isinstance(z, Tensor) else f"a {type(z).__name__}"
            raise InputError(f"{name} is {what}; expected: a tensor of floating-point numbers")
    if z1.ndim < 2 or z1.shape[:2] != z2.shape[:2]:
        raise InputError(
            f"z1 has shape {tuple(z1.shape)}, z2 {tuple(z2.shape)}; expected: (N, units) or (N, units, *) each, where "
            "row i of both is clip i"
        )
