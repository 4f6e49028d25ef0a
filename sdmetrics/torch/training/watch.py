"""Watch what a loss on shuffled frames does to the channels of a layer: whether they die, or turn to noise."""

from __future__ import annotations

import warnings
from typing import TypedDict

from torch import Tensor

from sdmetrics.torch.training.moments import empty_moments, merge, merge_processes, pair_moments, pearson

EVERY, WINDOW = 64, 4
"""Of so many steps in which the loss is computed the last `WINDOW` are watched; they make one count."""

LEAST_CLIPS = 2
"""Of finite values: scores of fewer are not defined."""

NEAR_ZERO, MANY = 0.2, 0.25
"""Noise: both scores are below the first. It is said once if more channels than the second share are lost."""


class Lost(TypedDict):
    """Channels of a layer that carry nothing: how many are dead, how many are noise, and of how many.

    `noise` is `None` where no input has three colour channels, so that clips cannot be shown in another look.
    """

    dead: int
    noise: int | None
    units: int


class Watch:
    """Counts the channels of a layer that are lost.

    The static score compares clips with their shuffled copies, the dynamic one with copies in another look. A channel
    that neither keeps is noise; one that does not vary is dead.

    Examples
    --------
    >>> import torch
    >>> watch, z = Watch("pool"), torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
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
