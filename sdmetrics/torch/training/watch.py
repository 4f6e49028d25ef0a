"""Watch what a loss on shuffled frames does: to the channels of a layer, and to what the model predicts."""

from __future__ import annotations

import warnings
from typing import TypedDict

import torch
from torch import Tensor

from sdmetrics.torch.training.moments import empty_moments, merge, merge_processes, pair_moments, pearson
from sdmetrics.torch.training.processes import sum_over_processes

EVERY, WINDOW = 64, 4
"""Of so many steps in which the loss is computed the last `WINDOW` are watched; they make one count."""

LEAST_CLIPS = 2
"""Of finite values: scores of fewer are not defined."""

NEAR_ZERO, MANY = 0.2, 0.25
"""Noise: both scores are below the first. It is said once if more channels than the second share are lost."""

LEAST_PREDICTIONS = 64
"""Clips that an agreement is computed from, at least; they may be those of several windows."""

FIRST, AGREED = 4 * EVERY, 0.7
"""After so many steps in which the loss is computed, and after each doubling of them, a larger agreement is said."""


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
    as the frequencies of the classes alone would give. A model whose predictions hardly agree looks at motion.

    Examples
    --------
    >>> import torch
    >>> watch, logits = PredictionWatch(), torch.eye(4).repeat(16, 1)
    >>> for _ in range(WINDOW):
    ...     watch.add(logits, logits)
    >>> watch.agreement
    1.0
    """

    def __init__(self) -> None:
        self.agreement: float | None = None
        self._windows, self._steps, self._due = 0, 0, FIRST
        self._equal, self._counts = 0, torch.zeros(2, 0)

    def add(self, logits: Tensor, of_shuffled: Tensor) -> None:
        """Add the logits of a batch and those of its shuffled copy, `(N, classes)`."""
        classes = logits.shape[1]
        predicted = [one.detach().argmax(1) for one in (logits, of_shuffled)]
        equal = (predicted[0] == predicted[1]).sum()[None]
        both = torch.cat([equal, *(one.bincount(minlength=classes) for one in predicted)])
        both = sum_over_processes(both).cpu()
        if self._counts.shape[1] != classes:
            self._equal, self._counts = 0, torch.zeros(2, classes)
        self._equal += int(both[0])
        self._counts += both[1:].reshape(2, classes)
        self._steps += 1
        if self._steps == WINDOW:
            self._steps = 0
            self._windows += 1
            if self._counts[0].sum() >= LEAST_PREDICTIONS:
                self._count()

    def _count(self) -> None:
        """Compute the agreement of the clips so far, and warn if the loss has had time to lower it."""
        clips = float(self._counts[0].sum())
        share, by_chance = self._equal / clips, float(self._counts.prod(0).sum()) / clips**2
        self.agreement = (share - by_chance) / (1 - by_chance) if by_chance < 1 else None
        self._equal, self._counts = 0, torch.zeros_like(self._counts)
        steps = self._windows * EVERY
        if steps < self._due:
            return
        self._due = 2 * steps
        if self.agreement is not None and self.agreement > AGREED:
            warnings.warn(
                f"after {steps} steps with the loss the predicted class (of {self._counts.shape[1]}) is the same for "
                f"shuffled frames in {share:.0%} of {clips:.0f} clips: the model still predicts by single frames. If "
                "the labels need what single frames show, the loss costs accuracy, which a training without it would "
                "tell; else raise its weight",
                stacklevel=2,
            )
