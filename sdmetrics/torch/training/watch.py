"""Watch what a loss on shuffled frames does: to the channels of a layer, and to what the model predicts."""

from __future__ import annotations

import math
import warnings
from typing import TypedDict

import torch
from torch import Tensor

from sdmetrics.torch.training.moments import empty_moments, merge, merge_processes, pair_moments, pearson
from sdmetrics.torch.training.processes import is_first_process, sum_over_processes

EVERY, WINDOW = 64, 4
"""Of so many steps in which the loss is computed the last `WINDOW` are watched; they make one count."""

LEAST_CLIPS = 2
"""Of finite values: scores of fewer are not defined."""

NEAR_ZERO, MANY = 0.2, 0.25
"""Noise: both scores are below the first. It is said once if more channels than the second share are lost."""

LEAST_PREDICTIONS = 64
"""Clips that an agreement is computed from, at least; they may be those of several windows."""

FIRST, AGREED = 4 * EVERY, 0.7
"""After so many steps with the loss, and after each doubling of them, an agreement that is surely larger is said."""

Z = 1.96
"""Of a 95 % interval."""


class Lost(TypedDict):
    """Channels of a layer that carry nothing: how many are dead, how many are noise, and of how many.

    `noise` is `None` where no input has three colour channels, so that clips cannot be shown in another look.
    """

    dead: int
    noise: int | None
    units: int


class ChannelWatch:
    """Counts the channels of a layer that are lost.

    The static score compares clips with their shuffled copies, the dynamic one with copies in another look. A channel
    that neither keeps is noise; one that does not vary is dead.

    Examples
    --------
    >>> import torch
    >>> watch, z = ChannelWatch("pool"), torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    >>> noise = torch.randn(2, 64, 1, generator=torch.Generator().manual_seed(1))
    >>> z[:, 1] = 0
    >>> shuffled, restyled = (torch.cat([one, z[:, 1:]], 1) for one in noise)
    >>> for _ in range(WINDOW):
    ...     watch.add(z, shuffled, restyled)
    >>> watch.lost
    {'dead': 1, 'noise': 1, 'units': 8}
    """

    def __init__(self, layer: str) -> None:
        self.lost: Lost | None = None
        self._layer, self._warned = layer, False
        self._batches, self._moments = 0, [empty_moments(0), empty_moments(0)]

    def add(self, z: Tensor, of_shuffled: Tensor, in_other_look: Tensor | None) -> None:
        """Add the features of a batch, those of its shuffled copy and, if there is one, of its copy in another look."""
        units = z.shape[1]
        if not self._batches:
            self._moments = [empty_moments(units).to(z.device) for _ in range(2)]
        for number, other in enumerate((of_shuffled, in_other_look)):
            if other is not None:
                batch = merge_processes(pair_moments(z, other))
                if bool(batch.isfinite().all()):
                    self._moments[number] = merge(self._moments[number], batch)
        self._batches += 1
        if self._batches == WINDOW:
            self._batches = 0
            given = self._moments[: 1 if in_other_look is None else 2]
            if all(int(moments[0, 0]) >= LEAST_CLIPS for moments in given):  # else values were not finite
                self._count(units, with_looks=in_other_look is not None)

    def _count(self, units: int, *, with_looks: bool) -> None:
        """Count the lost channels, and warn once if there are many."""
        static, dynamic = (pearson(moments) for moments in self._moments)
        dead = static.isnan()
        noise = ~dead & (static.abs() < NEAR_ZERO) & (dynamic.nan_to_num(0).abs() < NEAR_ZERO)
        count = int(noise.sum()) if with_looks else None
        self.lost = {"dead": int(dead.sum()), "noise": count, "units": units}
        lost = self.lost["dead"] + (count or 0)
        if lost > MANY * units and not self._warned:
            self._warned = True
            noisy = f" and {count} are noise, which neither motion nor appearance changes" if with_looks else ""
            warnings.warn(
                f"module {self._layer!r}: of {units} channels {self.lost['dead']} are dead{noisy}. If the labels need "
                "appearance, the loss takes away what they need; else lower its weight or raise its warmup (this "
                "warning is shown once)",
                stacklevel=2,
            )


class PredictionWatch:
    """Compares what a model predicts for clips with what it predicts for their shuffled copies.

    The agreement is the share of equal predictions beyond chance (Cohen's kappa): 1 if all are equal, 0 if as many are
    as the frequencies of the classes alone would give. A model that needs the order of the frames hardly agrees.

    Examples
    --------
    >>> watch, logits = PredictionWatch(), torch.eye(4).repeat(16, 1)
    >>> watch.add(logits, logits, step=1)
    >>> watch.agreement
    1.0
    """

    def __init__(self) -> None:
        self.agreement: float | None = None
        self._due = FIRST
        self._equal, self._counts = 0, torch.zeros(2, 0, dtype=torch.int64)

    def add(self, logits: Tensor, of_shuffled: Tensor, step: int) -> None:
        """Add the logits of a batch and those of its shuffled copy, `(N, classes)`, in a step with the loss, from 1."""
        classes = logits.shape[1]
        predicted = [one.detach().argmax(1) for one in (logits, of_shuffled)]
        equal = (predicted[0] == predicted[1]).sum()[None]
        counts = torch.cat([equal, *(one.bincount(minlength=classes) for one in predicted)])
        counts = sum_over_processes(counts).cpu()
        if self._counts.shape[1] != classes:
            self._equal, self._counts = 0, torch.zeros(2, classes, dtype=torch.int64)
        self._equal += int(counts[0])
        self._counts += counts[1:].reshape(2, classes)
        if int(self._counts[0].sum()) >= LEAST_PREDICTIONS:
            self._count(step)

    def _count(self, step: int) -> None:
        """Compute the agreement of the clips so far, and warn if the loss has had time to lower it."""
        clips, equal = int(self._counts[0].sum()), self._equal
        by_chance = int(self._counts.prod(0).sum()) / clips**2
        self._equal, self._counts = 0, torch.zeros_like(self._counts)
        if by_chance == 1:
            self.agreement = None
            return
        kappa, surely = ((share - by_chance) / (1 - by_chance) for share in (equal / clips, _at_least(equal, clips)))
        self.agreement = kappa
        if step < self._due:
            return
        while self._due <= step:
            self._due *= 2
        if surely > AGREED and is_first_process():
            warnings.warn(
                f"after {step} steps with the loss the model predicts the same class (of {self._counts.shape[1]}) for "
                f"shuffled frames in {equal} of {clips} clips (agreement {kappa:.2f}): its predictions hardly depend "
                "on the order of the frames. If motion decides the label, train longer or raise the weight of the "
                "loss. If appearance does, the loss costs accuracy: compare with a training without it",
                stacklevel=2,
            )


def _at_least(equal: int, clips: int) -> float:
    """Return the lower end of the 95 % interval (Wilson's) of a share.

    Examples
    --------
    >>> round(_at_least(64, 64), 3)
    0.943
    """
    share = equal / clips
    half = Z * math.sqrt(share * (1 - share) / clips + (Z / (2 * clips)) ** 2)
    return (share + Z**2 / (2 * clips) - half) / (1 + Z**2 / clips)
